/**
 * Decides when the bridge of a host with many endpoints of a network answers ARP itself, and computes the operations
 * for that.
 */
import type { KernelOp } from "./ops.ts";
import type { ProxyState } from "./state.ts";

/**
 * The number of endpoints of a network on a host from which the bridge answers ARP itself. Below it a request is
 * flooded to every port, and each copy waits in the receiving CPU's queue: a few requests at once to many ports fill
 * it (net.core.netdev_max_backlog, 1,000), and the packet queued last, which is the copy for vxlan0, is lost.
 */
export const CROWDED = 128;

/** The number below which it stops, so that a single endpoint does not switch it on and off. */
const NOT_CROWDED = 64;

/**
 * The most endpoints of one network that can be active on one host: a bridge has 1,023 ports (BR_MAX_PORTS in
 * net/bridge, without port 0), and vxlan0 uses one.
 */
export const MOST_PORTS = 1022;

/** Stands for br0's own MAC in {@link ProxyState.arp}. */
export const BRIDGE_MAC = 0;

/** True when a host with that many endpoints of a network should answer ARP itself. `now`: whether it does already. */
export function isCrowded(endpoints: number, now: boolean): boolean {
  return endpoints >= (now ? NOT_CROWDED : CROWDED);
}

const NOTHING: ProxyState = { port: false, arp: new Map(), fdb: new Set() };

type Sized = Readonly<Record<"arp" | "fdb", { readonly size: number }>>;

/**
 * The operations from one state to the other; wrong and unwanted entries are removed first.
 *
 * @param flushed True: the existing ARP entries may be gone by then.
 */
export function proxyOps(
  actual: ProxyState = NOTHING,
  desired: ProxyState = NOTHING,
  flushed = false,
): KernelOp[] {
  const remove = {
    ...actual.port && !desired.port ? { port: true as const } : {},
    ...actual.closed && !desired.closed ? { closed: true as const } : {},
    arp: new Set([...actual.arp.keys()].filter((address) => !desired.arp.has(address))),
    fdb: new Set([...actual.fdb].filter((mac) => !desired.fdb.has(mac))),
  };
  const set = {
    ...desired.port && !actual.port ? { port: true as const } : {},
    ...desired.closed && !actual.closed ? { closed: true as const } : {},
    arp: new Map([...desired.arp].filter(([address, mac]) => flushed || actual.arp.get(address) !== mac)),
    fdb: new Set([...desired.fdb].filter((mac) => !actual.fdb.has(mac))),
  };
  const changes = ({ port, closed, arp, fdb }: Partial<Record<"port" | "closed", true>> & Sized) =>
    port || closed || arp.size > 0 || fdb.size > 0;
  return [
    ...changes(remove) ? [{ op: "proxy-remove" as const, ...remove }] : [],
    ...changes(set) ? [{ op: "proxy-set" as const, ...set }] : [],
  ];
}
