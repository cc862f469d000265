/**
 * Checks where the dashboard may listen, and by which host names it may be asked, since any client that reaches it
 * may read everything.
 */
import type { Config } from "../common/config.ts";
import { formatHostPort, isLoopback, tryParseHostPort } from "../common/host_port.ts";
import { printable, Refusal } from "../common/refusal.ts";
import { readTls, type TlsMaterial } from "../common/tls.ts";

/**
 * The certificates of the dashboard; undefined on loopback, where none are configured.
 *
 * @throws Refusal "invalid" for an address that other machines can reach without certificates of clients
 */
export function tlsOf({ dashboard: { listen, tls }, where }: Config): TlsMaterial | undefined {
  const fields = { cert: "dashboard.tls.cert", key: "dashboard.tls.key", ca: "dashboard.tls.ca" };
  if (tls) return readTls(tls, fields, where);
  if (isLoopback(listen.host)) return undefined;
  throw new Refusal(
    "invalid",
    `${where("dashboard.listen")}: ${
      formatHostPort(listen)
    } can be reached from elsewhere: set dashboard.tls.cert, ` +
      "dashboard.tls.key and dashboard.tls.ca, so that only clients with certificates see it, or listen on 127.0.0.1",
  );
}

/**
 * Why a request is refused for its header Host; undefined: it is allowed. A page of any site can have its name point at
 * 127.0.0.1 (DNS rebinding), and would then read what is served there: on loopback only names of loopback are answered.
 */
export function hostRefusal(listen: string, host: string | undefined): string | undefined {
  if (!isLoopback(listen)) return undefined;
  const name = tryParseHostPort(host ?? "", 0)?.host.toLowerCase();
  if (name !== undefined && isLoopback(name)) return undefined;
  const shown = printable((host ?? "").slice(0, 80));
  return `Host: "${shown}" is no name of loopback: use http://127.0.0.1, http://localhost or http://[::1]`;
}
