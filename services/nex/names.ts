/** Names of networks; names as DNS has them: domains, qualified names, and labels made of what clients call themselves. */
import { invalid } from "../common/refusal.ts";

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Refuses a network's name that a key or a command line could not contain. */
export function checkNetworkName(name: string, field = "name"): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name)) {
    throw invalid(
      `${field}: "${name}" is not a network name: letters, digits, dots, hyphens and underscores, 128 at most`,
    );
  }
  return name;
}

/** Reads a domain (RFC 1035 §2.3.4): lower-case, no trailing dot; undefined when `text` is none. */
export function tryParseDomain(text: string): string | undefined {
  const domain = text.toLowerCase().replace(/\.$/, "");
  return domain.length <= 253 && domain.split(".").every((l) => label.test(l)) ? domain : undefined;
}

/**
 * The fully qualified, lower-case form of a member's name: one label and the network's domain. A name that
 * is qualified already is taken as it is.
 */
export function qualify(name: string, domain: string, field = "name"): string {
  const full = qualifyName(name, domain);
  if (full === undefined) {
    throw invalid(
      `${field}: "${name}" is not a DNS label: 1 to 63 letters, digits or hyphens, no hyphen at either end`,
    );
  }
  return full;
}

/** The full name for a label that a client asks for; undefined where it is no valid name. */
export function qualifyName(name: string, domain: string): string | undefined {
  const suffix = domain && `.${domain}`;
  let host = name.toLowerCase().replace(/\.$/, "");
  if (suffix && host.endsWith(suffix)) host = host.slice(0, -suffix.length);
  const full = host + suffix;
  return label.test(host) && full.length <= 253 ? full : undefined;
}

/**
 * A label made of the name that a user gave to a machine: lower-case, with a hyphen for each run of other characters than
 * letters, digits and hyphens (RFC 1123 §2.1). Undefined where nothing is left.
 */
export function cleanLabel(name: string): string | undefined {
  const hyphened = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-/, "");
  return hyphened.slice(0, 63).replace(/-$/, "") || undefined;
}
