/** Finds this server's own addresses, for the NS records of networks without name servers. */
import { Ip } from "../common/ip.ts";
import { parseHostPort } from "../common/host_port.ts";

/**
 * The addresses at which a server with these listening addresses is reached: a wildcard stands for the host's own addresses
 * of its family, of which loopback and link-local ones count only where it has no others.
 *
 * @param listen with or without ports: `0.0.0.0:53`, `10.0.0.1:53`
 * @param interfaces the host's addresses, as `Deno.networkInterfaces()` gives them
 */
export function ownAddresses(listen: readonly string[], interfaces: readonly { address: string }[]): Ip[] {
  const hosts = listen.map((text) => Ip.parse(parseHostPort(text, "listen", 53).host));
  const own = interfaces.flatMap(({ address }) => Ip.tryParse(address) ?? []);
  const all = hosts.flatMap((ip) =>
    ip.bytes.some(Boolean) ? [ip] : own.filter(({ family }) => family === ip.family)
  );
  const reachable = all.filter((ip) => !isLocal(ip));
  return reachable.length > 0 ? reachable : all;
}

/** True for 127.0.0.0/8, 169.254.0.0/16, ::1 and fe80::/10. */
function isLocal({ family, bytes: [a = 0, b = 0, ...rest] }: Ip): boolean {
  if (family === 4) return a === 127 || (a === 169 && b === 254);
  return (a === 0xfe && (b & 0xc0) === 0x80) || (a === 0 && b === 0 && rest.join("") === "00000000000001");
}
