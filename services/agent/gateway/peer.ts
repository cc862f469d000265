/** Who may be handed the gateways' sockets. */
import type { PeerCredentials } from "../../../ffi/unix_messages.ts";

/**
 * True for root, for this process's own user, and for the configured one.
 *
 * @param user a name of /etc/passwd, or a number
 */
export function mayConnect({ uid }: PeerCredentials, user: string): boolean {
  return uid === 0 || uid === Deno.uid() || uid === uidOf(user);
}

/** The number of a user; undefined for an unknown one. Read each time, since the account may be made later. */
function uidOf(user: string): number | undefined {
  if (/^\d+$/.test(user)) return Number(user);
  let accounts: string;
  try {
    accounts = Deno.readTextFileSync("/etc/passwd");
  } catch {
    return undefined; // Then only root is let in.
  }
  const line = accounts.split("\n").find((line) => line.startsWith(`${user}:`));
  const uid = line?.split(":")[2];
  return uid === undefined || !/^\d+$/.test(uid) ? undefined : Number(uid);
}
