/** Splits operations into groups that may fail independently: the network's own, and those of each veth. */
import type { Op } from "./ops.ts";

/** Groups of operations that are applied independently, so that a failure in one does not stop the others. */
export interface Parts {
  readonly network: readonly Op[];
  /** By the name of the veth's end in the network's namespace. */
  readonly veths: ReadonlyMap<string, readonly Op[]>;
}

/**
 * Splits the operations that lead from one state to another, each part in its order.
 *
 * @param without Veths that are left as they are.
 */
export function partsOf(ops: readonly Op[], without: ReadonlySet<string> = new Set()): Parts {
  const network: Op[] = [], veths = new Map<string, Op[]>();
  for (const op of ops) {
    const name = vethOf(op);
    if (name === undefined) network.push(op);
    else if (!without.has(name)) veths.set(name, [...veths.get(name) ?? [], op]);
  }
  return { network, veths };
}

/** True for an operation that removes what may be in use: it must not be applied while etcd's data is in doubt. */
export function isDestructive({ op }: Op): boolean {
  return op === "namespace-remove" || op === "veth-remove" || op === "arp-remove" || op === "fdb-remove" ||
    op === "leg-remove" || op === "leg-route-remove" || op === "host-end-remove";
}

function vethOf(op: Op): string | undefined {
  switch (op.op) {
    case "veth-add":
    case "veth-remove":
    case "veth-set":
    case "veth-unpin":
      return op.name;
    case "peer-set":
    case "leg-route-add":
      return op.veth;
    default:
      return undefined;
  }
}
