/** Splits operations into groups that may fail independently: the network's own, and those of each veth. */
import type { KernelOp } from "./ops.ts";

/** Groups of operations that are applied independently, so that a failure in one does not stop the others. */
export interface OpGroups {
  readonly network: readonly KernelOp[];
  /** By the name of the veth's end in the network's namespace. */
  readonly veths: ReadonlyMap<string, readonly KernelOp[]>;
}

/**
 * Splits operations into groups, keeping their order in each.
 *
 * @param without Veths whose operations are left out.
 */
export function groupOps(ops: readonly KernelOp[], without: ReadonlySet<string> = new Set()): OpGroups {
  const network: KernelOp[] = [], veths = new Map<string, KernelOp[]>();
  for (const op of ops) {
    const name = vethOf(op);
    if (name === undefined) network.push(op);
    else if (!without.has(name)) veths.set(name, [...veths.get(name) ?? [], op]);
  }
  return { network, veths };
}

/** True for an operation that removes what may be in use: it must not be applied while etcd may be another store. */
export function isDestructive({ op }: KernelOp): boolean {
  // A port whose MAC and address are no longer its own is cut off.
  return op === "namespace-remove" || op === "veth-remove" || op === "arp-remove" || op === "fdb-remove" ||
    op === "uplink-remove" || op === "uplink-route-remove" || op === "host-end-remove" ||
    op === "containment-unset" || op === "containment-remove" || op === "egress-remove" ||
    op === "flood-remove";
}

function vethOf(op: KernelOp): string | undefined {
  switch (op.op) {
    case "veth-add":
    case "veth-remove":
    case "veth-set":
    case "veth-unpin":
      return op.name;
    case "peer-set":
    case "uplink-route-add":
      return op.veth;
    default:
      return undefined;
  }
}
