/** Suggests in an error message what to do about a server that does not answer. */

/**
 * Returns what to do about an unreachable server, depending on the client's reason: a program that does not run, a
 * network that loses packets and a wrong certificate have different remedies.
 *
 * @param setting The configuration key that names the server.
 */
export function remedyForAway(reason: string, setting: string): string {
  if (/ECONNREFUSED/.test(reason)) return `start it, or correct ${setting}: nothing listens there`;
  if (/no leader/.test(reason)) {
    return "bring a majority of etcd's members back, and check the network between them";
  }
  if (/no answer|no connection|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/.test(reason)) {
    return "check the network to it (a firewall, a broken link), and whether it hangs: no packet comes back";
  }
  if (/closed the connection/.test(reason)) return "see its log: it has ended, or was restarted";
  if (/EAI_|ENOTFOUND|Name resolution/.test(reason)) return `correct its name in ${setting}, or in the DNS`;
  return `see its log, and correct ${setting} and the certificates`;
}
