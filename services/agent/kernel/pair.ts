import { EEXIST, SystemError } from "../../../ffi/errno.ts";
import { deleteLink, newVeth } from "../../../ffi/netlink_link.ts";
import { Refusal } from "../../common/refusal.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/** What an end of a pair is made with. */
export interface End {
  readonly name: string;
  readonly mtu: number;
  /** Required, since udev gives another MAC to a link that is made without one (MACAddressPolicy of systemd.link(5)). */
  readonly mac: Uint8Array;
}

/** The end that is a port, or is to be one. */
export interface Near extends End {
  readonly master?: number;
  readonly up?: boolean;
}

/**
 * Makes a pair of veths, one end in each of two namespaces.
 * @throws Refusal "exists" when one of the names is taken
 */
export async function addPair(
  here: NetworkNamespace,
  near: Near,
  target: NetworkNamespace,
  far: End,
): Promise<void> {
  const make = () => unlessThere(here.netlink.run(newVeth(near, { ...far, namespace: target.fd })));
  let refused = await make();
  if (!refused) return;
  const there = await target.link(far.name);
  if (there) {
    // What is left of this very pair: its namespace was deleted and is still being cleared away, or it was moved.
    const left = there.kind === "veth" && `${there.mac}` === `${far.mac}`;
    if (!left) throw taken(far.name, target.path, refused);
    await target.netlink.run(deleteLink(there.index));
  }
  refused = await make();
  if (refused) throw taken(near.name, here.path, refused);
}

/** @returns what the kernel said when it is there already */
export async function unlessThere(making: Promise<void>): Promise<SystemError | undefined> {
  try {
    await making;
    return undefined;
  } catch (error) {
    if (error instanceof SystemError && error.errno === EEXIST) return error;
    throw error;
  }
}

/** An interface of another kind, or of another pair, has the name that a new one was to have. */
export class NameTaken extends Refusal {}

/** What is said of it. */
export function taken(name: string, path: string, cause: unknown): NameTaken {
  return new NameTaken("exists", `there is an interface called ${name} in ${path} already`, { cause });
}
