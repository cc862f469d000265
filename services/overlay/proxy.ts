/** ARP on a host that has many of a network's endpoints: the bridge answers it itself, from a table of its own. */
import type { KernelOp } from "./ops.ts";
import type { ProxyState } from "./state.ts";

/**
 * From so many endpoints of a network on a host the bridge answers ARP itself. Before that a request is flooded to every
 * port, and each copy waits in the receiving CPU's queue: a few requests at once to so many ports fill it
 * (net.core.netdev_max_backlog, 1,000), and what is queued last is lost, which is vxlan0's answer.
 */
export const CROWDED = 128;

/** It goes on until there are fewer than this, so that one endpoint more or less does not turn it on and off. */
const NOT_CROWDED = 64;

/**
 * Endpoints of one network that can be active on one host: a bridge has 1,023 ports (BR_MAX_PORTS of net/bridge, less
 * port 0), and vxlan0 is one of them.
 */
export const MOST_PORTS = 1022;

/** In place of a MAC in {@link ProxyState.arp}: br0's own. */
export const BRIDGE_MAC = 0;

/** True when a host with so many endpoints of a network is to answer ARP itself. `now`: it does so already. */
export function isCrowded(endpoints: number, now: boolean): boolean {
  return endpoints >= (now ? NOT_CROWDED : CROWDED);
}

const NOTHING: ProxyState = { port: false, arp: new Map(), fdb: new Set() };

/**
 * What leads from one to the other: what is wrong or not wanted goes first.
 *
 * @param flushed The ARP entries that are there may be gone by then.
 */
export function proxyOps(
  actual: ProxyState = NOTHING,
  desired: ProxyState = NOTHING,
  flushed = false,
): KernelOp[] {
  const remove = {
    ...actual.port && !desired.port ? { port: true as const } : {},
    arp: new Set([...actual.arp.keys()].filter((address) => !desired.arp.has(address))),
    fdb: new Set([...actual.fdb].filter((mac) => !desired.fdb.has(mac))),
  };
  const set = {
    ...desired.port && !actual.port ? { port: true as const } : {},
    arp: new Map([...desired.arp].filter(([address, mac]) => flushed || actual.arp.get(address) !== mac)),
    fdb: new Set([...desired.fdb].filter((mac) => !actual.fdb.has(mac))),
  };
  return [
    ...remove.port || remove.arp.size || remove.fdb.size ? [{ op: "proxy-remove" as const, ...remove }] : [],
    ...set.port || set.arp.size || set.fdb.size ? [{ op: "proxy-set" as const, ...set }] : [],
  ];
}
