import type { KernelOp } from "../overlay/ops.ts";
import type { Context } from "./context.ts";

/** Endpoints' records that cannot be read: what they are about is not known, and must not be taken for nothing. */
export interface Unreadable {
  /** A sentence that names the first. */
  readonly reason: string;
  /** An endpoint of the network: perhaps one of another host, which has entries in the tables. */
  readonly tables: boolean;
  /** An endpoint of this host, perhaps in this network: it may have interfaces, and with them the namespace. */
  readonly interfaces: boolean;
}

/** Those without which the network is not known whole, so that something of it is not taken away; undefined: none. */
export function unreadable({ store, view, host }: Context, network: string): Unreadable | undefined {
  const { quarantined } = store.mirror.state, { keys } = view;
  if (!quarantined.size) return undefined;
  const found = { reason: "", tables: false, interfaces: false };
  const own = keys.hostEndpoints(host.hostname), its = keys.networkEndpoints(network);
  for (const key of quarantined.keys()) {
    const prefix = [own, its].find((prefix) => key.startsWith(prefix));
    // What its other key says, or what this one said before, still holds.
    if (prefix === undefined || view.endpoint(key.slice(prefix.length))) continue;
    found.tables ||= prefix === its;
    found.interfaces ||= prefix === own;
    found.reason ||=
      `the record ${key} in etcd cannot be read, so nothing that may be meant by it is taken away`;
  }
  return found.reason ? found : undefined;
}

/** The keys of an endpoint, as far as they are followed, whose values cannot be read. */
export function unreadableKeys({ store, view }: Context, endpoint: string): string[] {
  return [...store.mirror.state.quarantined.keys()].filter((key) => {
    const found = view.keys.read(key);
    return found !== undefined && "id" in found && found.id === endpoint &&
      (found.kind === "host-endpoint" || found.kind === "network-endpoint");
  });
}

/** True for what is about endpoints of other hosts. */
export function isOfTables({ op }: KernelOp): boolean {
  return op === "arp-remove" || op === "fdb-remove";
}
