/** Checks by its user whether a process that connects as gatewayd may be handed the gateways' sockets. */
import type { PeerCredentials } from "../../../ffi/unix_messages.ts";

/**
 * Why a process may not be handed them; undefined for one of root, of this process's own user, and of the configured one.
 *
 * @param user a name of /etc/passwd, or a number
 */
export function peerRefusal({ pid, uid }: PeerCredentials, user: string): string | undefined {
  if (uid === 0 || uid === Deno.uid() || uid === uidOf(user)) return undefined;
  return `process ${pid} of user ${uid} may not connect as gatewayd: agent.gateway-user is ${user}`;
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
