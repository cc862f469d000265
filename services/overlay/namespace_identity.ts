/**
 * The identity of the namespace that an active endpoint was made for, as its record has it. The kernel may give the
 * inode of a deleted namespace to the next one, so the record has the namespace's cookie beside it, which is not
 * given twice before a reboot. An identity is here BOOT/DEVICE:INODE/COOKIE, or without the cookie where the kernel
 * knows none.
 */
import type { EndpointRecord } from "../store/sand_records.ts";

type Fields = Pick<EndpointRecord, "strand_netns" | "strand_netns_cookie">;

/** The parts of an identity that a record keeps. The part without the cookie is as earlier agents write and compare it. */
export function identityFields(identity: string): Fields {
  const inode = withoutCookie(identity);
  return { strand_netns: inode, ...inode === identity ? {} : { strand_netns_cookie: identity } };
}

/**
 * True when a record was made for the namespace of that identity, false when it was made for another one; undefined for a record
 * that does not say, as those of SAND's agents. The cookie counts where both have one: a record of an earlier agent has none.
 */
export function isMadeFor(
  { strand_netns: inode, strand_netns_cookie: whole }: Fields,
  identity: string,
): boolean | undefined {
  if (inode === undefined) return undefined;
  if (inode !== withoutCookie(identity)) return false;
  // An earlier agent that makes the endpoint active again, in another namespace, leaves the cookie in its record as it was.
  return !whole?.startsWith(`${inode}/`) || whole === identity;
}

/** BOOT/DEVICE:INODE of an identity. */
export function withoutCookie(identity: string): string {
  return identity.split("/", 2).join("/");
}
