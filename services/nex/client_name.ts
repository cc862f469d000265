/**
 * Handles the names that clients ask for with their lease (DHCP options 12 and 81): each is made a label, refused, or
 * taken over.
 */
import type { MemberRecord } from "../store/records.ts";
import type { LeaseSpace } from "./lease_space.ts";
import type { Member } from "./member.ts";
import { cleanLabel, qualifyName } from "./names.ts";
import type { Network } from "./network.ts";

/** The outcome for a name that a client did not get unchanged. */
export type NameOutcome =
  | "cleaned" // it was made a label
  | "unusable" // no character of it can be in a label, or other machines find a service by it
  | "taken" // another client has it
  | "taken-over"; // another client had it, which does not renew its lease

/** A client's name once its lease is written. */
export interface ClientName {
  /** Fully qualified; undefined: none. */
  readonly name: string | undefined;
  readonly what?: NameOutcome | undefined;
  /** The members that are to lose the name. */
  readonly from: readonly Member[];
}

/** Names that no client gets: the name server's (ns), and those by which other machines find a service. */
const reserved = /^(ns|localhost|localdomain|wpad|isatap|_[^.]*)(\.|$)/;

/**
 * A client's name: its member's, else the one that it asks for, else the one that it had.
 *
 * @param requested A label, a name in the network's domain, or text to make a label of; undefined: none.
 * @param now Seconds since the epoch, by a clock that is right; undefined: no name is taken over from another client.
 */
export function nameClient(
  view: LeaseSpace,
  { network, member }: { readonly network: Network; readonly member: Member | undefined },
  mac: string,
  requested: string | undefined,
  now?: number,
): ClientName {
  if (member?.record.name) return { name: member.name, from: [] };
  const { domain } = network;
  if (!domain && !view.bareNames) return { name: undefined, from: [] };
  const isReserved = (name: string) => reserved.test(name) || view.isOwnLabel(name.split(".", 1)[0] ?? "");
  const others = (name: string) => view.membersNamed(name).filter((holder) => holder.mac !== mac);
  const had = member?.record.hostname;
  const kept = had && !isReserved(had) && !others(had).length ? had : undefined;
  if (requested === undefined) return { name: kept, from: [] };
  const exact = qualifyName(requested, domain), cleaned = cleanLabel(requested);
  const name = exact ?? (cleaned && qualifyName(cleaned, domain));
  if (!name || isReserved(name)) return { name: kept, what: "unusable", from: [] };
  const from = others(name);
  if (!from.every((holder) => isSilent(view, holder, now))) return { name: kept, what: "taken", from: [] };
  return { name, what: from.length ? "taken-over" : exact ? undefined : "cleaned", from };
}

/**
 * True for a client that is not a listed member and has let more than 7/8 of its lease pass: a running client renews at half of
 * it. Where its network was changed since, the length of its lease is not known.
 */
function isSilent(
  view: LeaseSpace,
  { dynamic, record, expires, modRevision }: Member,
  now: number | undefined,
): boolean {
  const network = record.net === undefined ? undefined : view.network(record.net);
  if (!dynamic || record.name || !network || expires === undefined || now === undefined) return false;
  return network.modRevision < modRevision && (expires - now) * 8 < network.leaseSeconds;
}

/** A record without the name that its client has asked for, which is kept as client_name only. */
export function withoutHostname({ hostname, ...record }: MemberRecord): MemberRecord {
  const label = hostname?.split(".", 1)[0];
  return { ...label ? { client_name: label } : {}, ...record };
}
