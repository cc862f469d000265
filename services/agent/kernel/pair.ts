/** Creates a veth pair across two network namespaces. */
import { EEXIST, SystemError } from "../../../ffi/errno.ts";
import { deleteLink, newVeth } from "../../../ffi/netlink_link.ts";
import { Refusal } from "../../common/refusal.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/** How one end of a veth pair is created. */
export interface VethEnd {
  readonly name: string;
  readonly mtu: number;
  /**
   * Required, since udev gives a link that is created without one another MAC (MACAddressPolicy in systemd.link(5)).
   */
  readonly mac: Uint8Array;
}

/** The end that is a port of the network's bridge, or becomes one. */
export interface BridgeEnd extends VethEnd {
  readonly master?: number;
  readonly up?: boolean;
}

/**
 * Creates a veth pair with its ends in two namespaces.
 * @param port Finds the port of the network's bridge that belongs to the pair, where that is not `near`.
 * @throws Refusal "exists" when one of the names is taken
 */
export async function addPair(
  here: NetworkNamespace,
  near: BridgeEnd,
  target: NetworkNamespace,
  far: VethEnd,
  port: () => Promise<unknown> = () => here.link(near.name),
): Promise<void> {
  const make = () => unlessThere(here.netlink.run(newVeth(near, { ...far, namespace: target.fd })));
  let refused = await make();
  if (!refused) return;
  // With its port the pair may be in use: it has to be read before it is changed.
  if (await port()) throw taken(near.name, here.path, refused);
  const there = await target.link(far.name);
  if (there) {
    // The link is left from this very pair: its namespace was deleted and is still being destroyed, or the link was
    // moved.
    const left = there.kind === "veth" && `${there.mac}` === `${far.mac}`;
    if (!left) throw taken(far.name, target.path, refused);
    await target.netlink.run(deleteLink(there.index));
  }
  refused = await make();
  if (refused) throw taken(near.name, here.path, refused);
}

/** @returns the error EEXIST, undefined where creation succeeded */
export async function unlessThere(making: Promise<void>): Promise<SystemError | undefined> {
  try {
    await making;
    return undefined;
  } catch (error) {
    if (error instanceof SystemError && error.errno === EEXIST) return error;
    throw error;
  }
}

/** The wanted name belongs to an interface of another kind or another pair. */
export class NameTaken extends Refusal {}

/** The error for it. */
export function taken(name: string, path: string, cause: unknown): NameTaken {
  return new NameTaken("exists", `there is an interface called ${name} in ${path} already`, { cause });
}
