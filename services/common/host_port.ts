/** Parses and formats a host with a port, as configurations and URLs have them. */
import { Ip } from "./ip.ts";
import { invalid } from "./refusal.ts";

/** The address at which a socket listens or connects: a host name or address, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `10.0.0.1:53`, `[::1]:53`, `db:2379` and, when `defaultPort` is given, each of them without its port
 * (an IPv6 address may then stand without brackets). `:6000` means all addresses. Undefined when it is none.
 */
export function tryParseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  if (defaultPort !== undefined && Ip.familyOf(text) === 6) return { host: text, port: defaultPort };
  const match = /^(?:\[([^\]]+)\]|([^:\s[\]/]*))(?::(\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const [, bracketed, plain = "", digits] = match;
  if (bracketed !== undefined && Ip.familyOf(bracketed) !== 6) return undefined;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port > 65535) return undefined;
  if (digits === undefined && bracketed === undefined && plain === "") return undefined;
  // No host's name ends in a number: that is an address gone wrong.
  if (/(^|\.)\d+\.?$/.test(plain) && !Ip.tryParse(plain)) return undefined;
  return { host: bracketed ?? (plain || "0.0.0.0"), port };
}

/** Reads a host and port; a refusal names `field` and the value when it is none. */
export function parseHostPort(text: string, field: string, defaultPort?: number): HostPort {
  const parsed = tryParseHostPort(text, defaultPort);
  if (!parsed) {
    throw invalid(`${field}: "${text}" is not an address with a port, like 127.0.0.1:${defaultPort ?? 6000}`);
  }
  return parsed;
}

/** The text form, IPv6 in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True when only this machine can reach the host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || Ip.tryParse(host)?.bytes[0] === 127 && !host.includes(":");
}

/** A URL's host, an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** A URL's port, also where it is the scheme's own. */
export function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
