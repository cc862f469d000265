import type { IncomingHttpHeaders } from "node:http";
import { tryParseHostPort } from "../host_port.ts";
import { Ip } from "../ip.ts";
import { printable } from "../refusal.ts";

/** Where a server is, as its own pages would name it. */
export interface Own {
  readonly secure: boolean;
  /** Names of this host, besides localhost. */
  readonly names: readonly string[];
}

/** `Sec-Fetch-Site` of a page of the same server, and of an address that the user has typed. */
const OWN_SITES = ["same-origin", "none"];

/**
 * Why a request that a browser sends is refused; undefined: it is not, or no browser sends it. A page of any site can
 * have a browser send requests to servers that only its user can reach, without any right there. A browser then tells
 * the page's origin, which no page can forge; other clients send neither Origin nor Sec-Fetch-Site. A page that claims
 * to be of this server is one only if it was not loaded under a name of its own that points here (DNS rebinding).
 */
export function browserRefusal(headers: IncomingHttpHeaders, { secure, names }: Own): string | undefined {
  const { origin, host = "" } = headers, site = headers["sec-fetch-site"];
  if (origin === undefined && site === undefined) return undefined;
  const own = origin === undefined
    ? OWN_SITES.includes(String(site))
    : origin.toLowerCase() === `${secure ? "https" : "http"}://${host.toLowerCase()}`;
  if (!own) {
    const page = origin === undefined ? "another site" : `"${shown(origin)}"`;
    return `a browser sends this for a page of ${page}: only pages of this server itself may ask it`;
  }
  const name = tryParseHostPort(host, 0)?.host.toLowerCase().replace(/\.$/, "");
  if (name !== undefined && (Ip.tryParse(name) || isOwn(name, names))) return undefined;
  return `Host: "${
    shown(host)
  }" is no name of this host, and a browser sends this: use its address, localhost or ${names.join(" or ")}`;
}

function isOwn(name: string, names: readonly string[]): boolean {
  return name === "localhost" || names.some((own) => own.toLowerCase() === name);
}

function shown(text: string): string {
  return printable(text.slice(0, 80));
}
