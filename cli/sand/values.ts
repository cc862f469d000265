/** Parsers of option values for commander's `argParser`: an invalid value is wrong usage. */
import { InvalidArgumentError } from "commander";
import { tryParseDuration } from "../../services/common/duration.ts";
import { tryParseGoInteger } from "../../services/common/go_number.ts";
import { hostOf } from "../../services/common/host_port.ts";
import { Ip } from "../../services/common/ip.ts";

/** A time as Go writes it, like `1m30s`. */
export interface Duration {
  readonly text: string;
  readonly ms: number;
}

/** Reads `30s`, `1m30s`, `1.5h`, `300ms`, `0`. */
export function duration(text: string): Duration {
  const ms = tryParseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError(`"${text}" is not a duration, like 30s or 1m30s`);
  return { text, ms };
}

/** Reads the address of an agent's API. */
export function apiUrl(text: string): URL {
  const url = /^https?:\/\//.test(text) ? URL.parse(text) : null;
  if (!url || url.username || url.search || url.hash) {
    throw new InvalidArgumentError(`"${text}" is not the URL of an agent, like http://localhost:9999`);
  }
  return url;
}

/** Reads an id; only the server knows whether it exists. */
export function id(text: string): string {
  if (!/^[^\s/?#]+$/.test(text)) {
    throw new InvalidArgumentError(`"${text}" is not an id, like 320a669f-e465-4806-ab46-f2e6620c4311`);
  }
  return text;
}

/** Reads an IP address. */
export function ip(text: string): string {
  if (!Ip.tryParse(text)) throw new InvalidArgumentError(`"${text}" is not an IP address, like 10.0.0.2`);
  return text;
}

/** Reads a TCP port, a number as Go writes it. */
export function port(text: string): number {
  const number = tryParseGoInteger(text) ?? 0;
  if (number < 1 || number > 65535) throw new InvalidArgumentError(`"${text}" is not a port from 1 to 65535`);
  return number;
}

/** Reads a path on the agent's host. */
export function path(text: string): string {
  if (!text.startsWith("/")) {
    throw new InvalidArgumentError(`"${text}" is not an absolute path on the agent's host`);
  }
  return text;
}

/** The characters of methods and header names (RFC 9110 §5.6.2, "token"). */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;

/** Reads an HTTP method. */
export function method(text: string): string {
  if (!TOKEN.test(text)) throw new InvalidArgumentError(`"${text}" is not an HTTP method, like POST`);
  return text;
}

/** Header fields by name, in lower case; several values of one name in order. */
export type HeaderFields = Readonly<Record<string, string | string[]>>;

/** Adds `Name: value` to the header fields before it. */
export function header(text: string, before: HeaderFields = {}): HeaderFields {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0)).toLowerCase(), value = text.slice(colon + 1).trim();
  if (!TOKEN.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new InvalidArgumentError(`"${text}" is not a header, like "Accept: text/plain"`);
  }
  return { ...before, [name]: name in before ? [before[name] ?? [], value].flat() : value };
}

/** Reads the URL of a server inside a network, which has no names: its host is an address. */
export function insideUrl(text: string): URL {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (!url || !Ip.tryParse(hostOf(url))) {
    throw new InvalidArgumentError(
      `"${text}" is not an http or https URL of an IP address, like http://10.0.0.2/`,
    );
  }
  return url;
}
