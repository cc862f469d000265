/**
 * Reads from an endpoint's record what created it (a request, Docker, CNI, a DHCP lease or a port of the host), and
 * when its lease ends.
 */
import type { EndpointRecord } from "../store/sand_records.ts";

/**
 * A namespace that a request named, a container of Docker's or of a runtime with CNI, a machine with a lease, or one that a port of
 * its host names.
 */
export type EndpointKind = "netns" | "docker" | "cni" | "dhcp" | "static";

/** The kind that an endpoint's record shows. */
export function kindOf(record: EndpointRecord): EndpointKind {
  if (record.kind === "dhcp" || record.kind === "static") return record.kind;
  return record.strand_docker ? "docker" : record.strand_cni ? "cni" : "netns";
}

/** True for a machine behind a port, which is no container that an agent has attached. */
export function isBehindPort(record: EndpointRecord): boolean {
  return ["dhcp", "static"].includes(kindOf(record));
}

/** When a lease ends, in seconds since the epoch; undefined: it does not, or the record has no such time. */
export function expiryOf(record: EndpointRecord): number | undefined {
  const ms = Date.parse(record.expires_at ?? "");
  return Number.isFinite(ms) ? Math.floor(ms / 1000) : undefined;
}
