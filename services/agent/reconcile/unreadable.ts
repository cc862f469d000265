/** Finds endpoint records of a network that cannot be parsed, so that their kernel state is kept as it is. */
import type { KernelOp } from "../../overlay/ops.ts";
import type { Context } from "../context.ts";

/**
 * Records of endpoints in etcd that cannot be read. Because their content is unknown, nothing that they may mean is
 * removed from the kernel.
 */
export interface Unreadable {
  /** A sentence that names the first of them. */
  readonly reason: string;
  /** True when one of them may be an endpoint of another host, which has entries in the ARP and FDB tables. */
  readonly tables: boolean;
  /** True when one of them may be an endpoint of this host, whose interfaces and namespace must stay. */
  readonly interfaces: boolean;
}

/** The unreadable records that may belong to the network; undefined where there are none. */
export function unreadable({ store, view, host }: Context, network: string): Unreadable | undefined {
  const { quarantined } = store.mirror.state, { keys } = view;
  if (!quarantined.size) return undefined;
  const found = { reason: "", tables: false, interfaces: false };
  const own = keys.hostEndpoints(host.hostname), its = keys.networkEndpoints(network);
  for (const key of quarantined.keys()) {
    const prefix = [own, its].find((prefix) => key.startsWith(prefix));
    // The endpoint's other key, or the last readable value of this one, still holds.
    if (prefix === undefined || view.endpoint(key.slice(prefix.length))) continue;
    found.tables ||= prefix === its;
    found.interfaces ||= prefix === own;
    found.reason ||= `the record ${key} in etcd cannot be read, so nothing that it may describe is removed`;
  }
  return found.reason ? found : undefined;
}

/** The followed keys of an endpoint whose values cannot be read. */
export function unreadableKeys({ store, view }: Context, endpoint: string): string[] {
  return [...store.mirror.state.quarantined.keys()].filter((key) => {
    const found = view.keys.read(key);
    return found !== undefined && "id" in found && found.id === endpoint &&
      (found.kind === "host-endpoint" || found.kind === "network-endpoint");
  });
}

/** True for an operation that removes entries of endpoints of other hosts. */
export function isOfTables({ op }: KernelOp): boolean {
  return op === "arp-remove" || op === "fdb-remove";
}
