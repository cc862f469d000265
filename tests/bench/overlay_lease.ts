/** A lease of a machine behind a device of an overlay network, beside one that dhcpd gives on a flat network. */
import { Process, strandCommand } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { at } from "../networks/attached.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { ipIn, Machine } from "../overlay_names/ports.ts";
import { LeaseClient } from "./lease_client.ts";
import { percentile, type Sample, type Side } from "./lib.ts";

/** Both networks have as many addresses. */
const BITS = 20;

/** @param clients New ones of each side, each round. */
export async function leaseSides(stack: AsyncDisposableStack, clients: number): Promise<Side[]> {
  const it = stack.use(await GatewayLab.started({ hosts: 1 }));
  const host = it.host(1), blue = await it.network("blue", { range: `10.0.0.0/${BITS}` });
  await host.attach(blue);
  const vm = await deviceOf(host, "blue", "52:54:02:ff:00:01");
  const flat = await host.container();
  await it.lab.kv.write({
    "/net/flat": JSON.stringify({
      name: "flat",
      subnet4: `10.16.0.0/${BITS}`,
      dhcp4server: "10.16.0.1",
      Range4: { begin: "10.16.0.2", end: "10.16.15.250" },
      macRange: { begin: "00:00:00:00:00:00", end: "ff:ff:ff:ff:ff:ff" },
    }),
  });
  await ipIn(host.host.path, `link add flat0 type veth peer name eth0 netns ${flat.path}`);
  await ipIn(host.host.path, `address add 10.16.0.1/${BITS} dev flat0`);
  await ipIn(host.host.path, "link set flat0 up");
  await flat.run(["ip", "link", "set", "eth0", "up"]);
  const env = {
    ETCD_HOSTS: "",
    STRAND_ETCD_ENDPOINTS: it.lab.etcd.endpoint,
    STRAND_DHCPD_INTERFACE: "flat0",
  };
  stack.adopt(new Process(host.host.enter(strandCommand(["dhcpd"])), { env }), async (dhcpd) => {
    await dhcpd.stop();
  });
  const ours = stack.use(new LeaseClient(vm.host.path)), theirs = stack.use(new LeaseClient(flat.path));
  const sides = [["Strand, overlay", ours, "02"], ["Strand, flat (dhcpd)", theirs, "01"]] as const;
  for (const [, client, octet] of sides) {
    await until(
      "leases are given",
      () => client.exchange(`52:54:${octet}:ff:ff:ff`).then(() => true, () => false),
    );
  }
  return sides.map(([name, client, octet]) => ({ name, round: once(client, octet, clients) }));
}

/** A machine behind a device that may have any number of leases. */
export async function deviceOf(host: OverlayHost, network: string, mac: string): Promise<Machine> {
  const machine = await Machine.behind(host, "vm0", mac);
  const [code, , complaint] = await at(host, "attach", network, "--device", "vm0", "--leases", "60000");
  if (code !== 0) throw new Error(complaint);
  return machine;
}

/** A round of one side: clients that are new, and then the same ones once more. */
function once(client: LeaseClient, octet: string, clients: number): () => Promise<Sample[]> {
  let round = 0;
  return async () => {
    const hex = (number: number) => number.toString(16).padStart(2, "0");
    const macs = Array.from(
      { length: clients },
      (_, i) => `52:54:${octet}:${hex(round)}:${hex(i >> 8)}:${hex(i & 255)}`,
    );
    round++;
    const samples: Sample[] = [];
    for (const kind of ["new", "known"]) {
      const times: number[] = [];
      for (const mac of macs) times.push(await client.exchange(mac));
      for (const [name, part] of [["median", 50], ["95 of 100", 95]] as const) {
        const metric = `DISCOVER to ACK, ${name}`;
        samples.push({ size: `a ${kind} client`, metric, unit: "ms", value: percentile(times, part) });
      }
    }
    return samples;
  };
}
