/** How long until a machine that has moved to another host's port is reached again from a third host. */
import { macToBytes } from "../../services/common/mac.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { Process } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { at } from "../networks/attached.ts";
import { GatewayLab, inside } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";
import { percentile, type Sample, type Side } from "./lib.ts";

const MAC = "52:54:04:00:00:01", MOVES = 20;

/**
 * Two hosts with ports of one network, and a third one that pings the machine every 5 ms. The machine's device is removed; then
 * the machine is behind a port of the other host and sends one frame, as QEMU does after a migration.
 */
export async function movingMachine(stack: AsyncDisposableStack): Promise<Side[]> {
  const it = stack.use(await GatewayLab.started({ hosts: 3 }));
  const blue = await it.network("blue", { overlay: { contain: true } });
  const hosts = [it.host(1), it.host(2)];
  const far = await it.host(3).attach(blue, { wait: "20s" });
  await Promise.all(hosts.map((host) => host.attach(blue, { wait: "20s" })));
  let place = 0, number = 0;
  const plug = async (host: OverlayHost) => {
    const device = `vm${++number}`, machine = await Machine.behind(host, device, MAC);
    // No router solicitation or multicast report is to be the first frame.
    await machine.host.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
    const [code, , complaint] = await at(host, "attach", "blue", "--device", device);
    if (code !== 0) throw new Error(complaint);
    return machine;
  };
  let machine = await plug(it.host(1));
  const { address } = await machine.lease();
  if (!address) throw new Error("the machine has no lease");

  /** ms from the first frame at the new port until the first echo reply that the third host has of it. */
  const move = async (): Promise<number> => {
    place = 1 - place;
    const to = hosts[place];
    if (!to) throw new Error("no host");
    await machine.remove();
    machine = await plug(to);
    await machine.host.run(["ip", "address", "add", `${address}/24`, "dev", "eth0"]);
    const replies: number[] = [];
    const ping = new Process(far.container.inside(["ping", "-n", "-D", "-O", "-i", "0.005", address]), {
      onLine: (line) => {
        const [, seconds] = /^\[([\d.]+)\] .*icmp_seq=\d+ ttl/.exec(line) ?? [];
        if (seconds !== undefined) replies.push(Number(seconds) * 1000);
      },
    });
    try {
      await ping.line(/no answer yet for icmp_seq=2\d/);
      if (replies.length) throw new Error("the machine was reached before its first frame");
      const begun = Date.now();
      await inside(
        machine.host,
        (namespace) => Promise.resolve(sendFrames(namespace, "eth0", [announcement(MAC)])),
      );
      await until("the third host reaches the machine", (see) => see(replies.length) > 0);
      return Math.max(0, (replies[0] ?? Infinity) - begun);
    } finally {
      await ping.stop("SIGINT");
    }
  };

  const round = async (): Promise<Sample[]> => {
    const took: number[] = [];
    for (let i = 0; i < MOVES; i++) took.push(await move());
    const size = "3 hosts", unit = "ms";
    return ([["median", 50], ["99 of 100", 99]] as const).map(([which, share]) => (
      {
        size,
        metric: `a moved machine is reached after its frame, ${which}`,
        unit,
        value: percentile(took, share),
      }
    ));
  };
  return [{ name: "Strand, overlay", round }];
}

/** What QEMU sends to all after a migration: a reverse ARP request of the machine's own MAC (RFC 903). */
function announcement(mac: string): Uint8Array<ArrayBuffer> {
  const own = [...macToBytes(mac)], all = [255, 255, 255, 255, 255, 255], none = [0, 0, 0, 0];
  const padding = new Array<number>(18).fill(0);
  return Uint8Array.from([
    ...all,
    ...own,
    0x80,
    0x35,
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    3,
    ...own,
    ...none,
    ...own,
    ...none,
    ...padding,
  ]);
}
