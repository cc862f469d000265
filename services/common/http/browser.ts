/** Refuses requests that a web page of another site has made a browser send (CSRF and DNS rebinding). */
import type { IncomingHttpHeaders } from "node:http";
import { tryParseHostPort } from "../host_port.ts";
import { Ip } from "../ip.ts";
import { printable } from "../refusal.ts";

/** A server's own address, as its pages name it. */
export interface ServerOrigin {
  readonly secure: boolean;
  /** Names of this host in addition to localhost. */
  readonly names: readonly string[];
  /** True: what it serves are pages, to which links of other sites may lead, and GET changes nothing. */
  readonly arePages?: boolean;
}

/** Values of `Sec-Fetch-Site` for a page of the same server, and for an address that the user has typed. */
const OWN_SITES = ["same-origin", "none"];

/**
 * Why a browser's request is refused; undefined: it is allowed, or no browser sent it. A page of any site can make a
 * browser send requests to servers that only its user can reach, which gives the page rights that it does not have.
 * The browser then sends the page's origin, which no page can forge; other clients send neither Origin nor
 * Sec-Fetch-Site. A page that claims to be of this server is accepted only if it was not loaded under another name
 * that points here (DNS rebinding).
 */
export function browserRefusal(
  headers: IncomingHttpHeaders,
  { secure, names, arePages = false }: ServerOrigin,
): string | undefined {
  const { origin, host = "" } = headers, site = headers["sec-fetch-site"];
  if (origin === undefined && site === undefined) return undefined;
  const own = origin === undefined
    ? OWN_SITES.includes(String(site)) || (arePages && isLink(headers))
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

/**
 * A user follows a link: the page takes the place of the one with the link, which sees nothing of it. A page in a frame has
 * another destination, and whatever a script asks for another mode; a form that is sent by POST has its page's origin.
 */
function isLink(headers: IncomingHttpHeaders): boolean {
  return headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}

function isOwn(name: string, names: readonly string[]): boolean {
  return name === "localhost" || names.some((own) => own.toLowerCase() === name);
}

function shown(text: string): string {
  return printable(text.slice(0, 80));
}
