/** How long until a lease that one host gives is in the kernels of nine others. */
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { EntryWatch, systemClock } from "./endpoint_watch.ts";
import { LeaseClient } from "./lease_client.ts";
import { percentile, type Sample, type Side } from "./lib.ts";
import { deviceOf } from "./overlay_lease.ts";

const HOSTS = 10;
/** Leases in each round, each after a pause, in ms. */
const LEASES = 40, PAUSE = 50;

export async function spreadingLeases(stack: AsyncDisposableStack): Promise<Side[]> {
  const it = stack.use(await GatewayLab.started({ hosts: HOSTS }));
  const blue = await it.network("blue", { range: "10.0.0.0/20" });
  const [first, ...others] = it.lab.hosts;
  if (!first) throw new Error("no hosts");
  await Promise.all(it.lab.hosts.map((host) => host.attach(blue, { wait: "20s" })));
  const vm = await deviceOf(first, "blue", "52:54:03:ff:00:01");
  const client = stack.use(new LeaseClient(vm.host.path));
  const watches: EntryWatch[] = [];
  for (const host of others) watches.push(stack.use(await EntryWatch.open(host.namespaceOf(blue))));
  let number = 0;
  const round = async (): Promise<Sample[]> => {
    const requested: number[] = [], told: number[] = [], now = systemClock();
    for (let i = 0; i < LEASES; i++) {
      const hex = (++number).toString(16).padStart(4, "0"),
        mac = `52:54:03:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
      // By a reservation its address is known before it has one.
      const address = `10.0.${4 + (number >> 8)}.${number & 255}`;
      await it.reserve(blue, mac, { ip4: address });
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      const shown = Promise.all(watches.map((watch) => watch.added({ address, mac, vtep: first.ip })));
      const begun = now();
      await client.exchange(mac);
      const given = now();
      for (const at of await shown) {
        requested.push(at - begun);
        told.push(Math.max(0, at - given));
      }
    }
    const size = `${HOSTS} hosts`, unit = "ms";
    return ([["its DISCOVER", requested], ["its ACK", told]] as const).flatMap(([what, took]) => [
      { size, metric: `a lease on another host after ${what}, median`, unit, value: percentile(took, 50) },
      { size, metric: `a lease on another host after ${what}, 99 of 100`, unit, value: percentile(took, 99) },
    ]);
  };
  return [{ name: "Strand, overlay", round }];
}
