/** Parses the URL of an agent's API into the address that its client connects to. */
import type { Address } from "../../common/http/dial.ts";
import { hostOf, portOf } from "../../common/host_port.ts";
import { invalid } from "../../common/refusal.ts";
import type { TlsContents } from "../../common/tls_contents.ts";

/**
 * Parses the URL of an agent's API: `http://host:9999`, `https://host:9999`, or `unix:/run/strand/agent.sock`.
 *
 * @param tls For https: the authority, and a client certificate with its key.
 * @throws Refusal "invalid"
 */
export function agentAddress(url: string | URL, tls?: TlsContents): Address {
  // URL.parse() is not in Node 20, for which this is packed too.
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  switch (parsed?.protocol) {
    case "unix:":
      return { socket: decodeURIComponent(parsed.pathname) };
    case "http:":
      return { host: hostOf(parsed), port: portOf(parsed) };
    case "https:":
      return { host: hostOf(parsed), port: portOf(parsed), tls: tls ?? none };
    default:
      throw invalid(
        `"${url}" is not the URL of an agent, like http://localhost:9999 or unix:/run/strand/agent.sock`,
      );
  }
}

const none: TlsContents = { cert: undefined, key: undefined, ca: undefined };
