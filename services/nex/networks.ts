/** Plans that create, change and delete networks. */
import { Ip } from "../common/ip.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { claimsPrefix, keyOf, networksPrefix } from "../store/keys.ts";
import { type NexNetworkRecord, writeRecord } from "../store/records.ts";
import { checkNetwork, compact } from "./check_network.ts";
import { leaseOn } from "./held.ts";
import type { Member } from "./member.ts";
import { inRange, type Network, readNetwork } from "./network.ts";
import { giveAddress } from "./pool.ts";
import type { Draft } from "./steps.ts";

/** The action of a plan on an object. */
export type Action = "created" | "updated" | "unchanged";

/**
 * Plans a new network. One that exists with the same contents is left as it is; with other contents it is
 * refused, unless `update`: then see {@link replaceNetwork}.
 */
export function addNetwork(
  draft: Draft,
  given: NexNetworkRecord,
  options: { update?: boolean; reserved?: ReadonlySet<number> } = {},
): Action {
  const record = checkNetwork(given);
  const existing = draft.network(record.name);
  if (existing) {
    if (sameNetwork(existing.record, record)) return "unchanged";
    if (options.update) return replaceNetwork(draft, existing, record, options.reserved);
    const field = differingField(existing.record, record);
    throw new Refusal(
      "exists",
      `network ${record.name} exists with another ${field}; change it with: nex set network`,
    );
  }
  refuseOverlap(draft, record);
  draft.setNetwork(record.name, record, {
    // The remains of a deleted network of this name must not become members of the new one.
    guards: [
      { key: keyOf.deletedNetwork(record.name), modRevision: 0 },
      ...draft.otherNames(record.name),
    ],
    prefixGuards: [unchanged(draft, networksPrefix)],
  });
  return "created";
}

/**
 * Plans new contents of a network; refuses what its members or their leases forbid.
 *
 * @param reserved Addresses that members without one are not given, as 32-bit values.
 */
export function replaceNetwork(
  draft: Draft,
  before: Network,
  given: NexNetworkRecord,
  reserved?: ReadonlySet<number>,
): Action {
  // Unknown fields of the stored record are kept.
  const record = checkNetwork({ ...unknownFields(before.record), ...given, name: before.name });
  if (sameNetwork(before.record, record)) return "unchanged";
  const after = readNetwork(before.name, before, record);
  const members = draft.membersOf(before.name);
  for (const member of members) refuseStranded(before, after, member);
  const overlapChanged = ["subnet4", "subnet6"].some((f) => !same(before.record[f], record[f]));
  if (overlapChanged) refuseOverlap(draft, record);
  // The members first: after an interruption, the same change completes it.
  if (before.domain !== after.domain) renameMembers(draft, before, after, members);
  // A lease that is being written at the same time must not end up outside of the network.
  const heldChanged = ["subnet4", "Range4"].some((f) => !same(before.record[f], record[f]));
  draft.setNetwork(before.name, record, {
    prefixGuards: [
      ...overlapChanged ? [unchanged(draft, networksPrefix)] : [],
      ...heldChanged ? [unchanged(draft, claimsPrefix)] : [],
    ],
  });
  for (const member of draft.membersOf(before.name)) {
    if (member.ip4 || !after.range4) continue;
    const address = giveAddress(draft, after, member.mac, reserved).toString();
    const ip4 = { ...member.record.ip4, ...leaseOn(draft, after, member.mac, address) };
    draft.setMember(member.mac, member, { ...member.record, ip4 });
  }
  return "updated";
}

/**
 * Plans the end of a network, which is gone for every reader with its record. Members, names and leases are removed by the
 * sweep, because of the mark that is set.
 */
export function deleteNetwork(draft: Draft, name: string): void {
  // Gone since an earlier attempt of this request, which has deleted it.
  if (draft.attempts.found(`network ${name}`, draft.network(name) !== undefined) && !draft.network(name)) {
    return;
  }
  const network = findNetwork(draft, name);
  const left = keyOf.deletedNetwork(name);
  const value = writeRecord(network.record.subnet4 ? { subnet4: network.record.subnet4 } : {});
  draft.setNetwork(name, undefined, { guards: [draft.guard(left)], ops: [{ put: left, value }] });
}

/** The network of that name, or a refusal. */
export function findNetwork(draft: Pick<Draft, "network">, name: string): Network {
  const network = draft.network(name);
  if (!network) throw new Refusal("not-found", `there is no network "${name}"`);
  return network;
}

function unchanged(draft: Draft, prefix: string) {
  return { prefix, unchangedSince: draft.newestUnder(prefix) };
}

function refuseOverlap(draft: Draft, record: NexNetworkRecord): void {
  const fresh = readNetwork(record.name, { modRevision: 0 }, record);
  for (const other of draft.networks()) {
    if (other.name === record.name) continue;
    for (
      const [field, ours, theirs] of [["subnet4", fresh.subnet4, other.subnet4], [
        "subnet6",
        fresh.subnet6,
        other.subnet6,
      ]] as const
    ) {
      if (ours && theirs?.overlaps(ours)) {
        throw invalid(
          `network ${record.name}: ${field}: ${ours} overlaps ${theirs} of network ${other.name}; write them as one ` +
            "network, which may have range4, macrange and members with an ip4 of their own at once",
        );
      }
    }
  }
}

function refuseStranded(before: Network, after: Network, member: Member): void {
  const who = `${member.dynamic ? "client" : "member"} ${member.mac}`;
  for (
    const [field, address, subnet] of [["subnet4", member.ip4, after.subnet4], [
      "subnet6",
      member.ip6,
      after.subnet6,
    ]] as const
  ) {
    const ip = address ? Ip.tryParse(address) : undefined;
    if (ip && !subnet?.contains(ip)) {
      throw new Refusal(
        "forbidden",
        `network ${after.name}: ${field}: ${subnet ?? "none"} does not hold ${ip} of ${who}`,
      );
    }
  }
  const ip = member.ip4 ? Ip.tryParse(member.ip4) : undefined;
  if (ip && inRange(before, ip) && !inRange(after, ip)) {
    throw new Refusal(
      "forbidden",
      `network ${after.name}: range4: the new range does not hold ${ip} of ${who}`,
    );
  }
}

function renameMembers(draft: Draft, before: Network, after: Network, members: readonly Member[]): void {
  const from = before.domain && `.${before.domain}`, to = after.domain && `.${after.domain}`;
  const renamed = (member: Member, name: string | undefined) => {
    const old = name?.toLowerCase();
    // One label and the new domain: an attempt that was interrupted has renamed it already.
    if (!old?.endsWith(from) || (old.endsWith(to) && !old.slice(0, old.length - to.length).includes("."))) {
      return name;
    }
    const full = old.slice(0, old.length - from.length) + to;
    const holder = draft.membersNamed(full).find((other) =>
      other.mac !== member.mac && draft.netOf(other) !== before.name &&
      !(other.record.shared && member.record.shared)
    );
    if (holder) {
      throw new Refusal(
        "exists",
        `network ${before.name}: domain: the name ${full} belongs to ${holder.mac} already`,
      );
    }
    return full;
  };
  for (const member of members) {
    const { mac, record } = member;
    if (!record.name && !record.hostname) continue;
    const name = renamed(member, record.name), hostname = renamed(member, record.hostname);
    draft.setMember(mac, member, { ...record, ...name ? { name } : {}, ...hostname ? { hostname } : {} });
  }
}

const known = [
  "name",
  "subnet4",
  "subnet6",
  "dhcp4server",
  "dhcp6server",
  "Range4",
  "Range6",
  "gateways",
  "nameservers",
  "options",
  "domain",
  "macRange",
  "siaddr",
  "lease_duration",
] as const;

/** The fields of a stored record that this version does not know. */
export function unknownFields(record: NexNetworkRecord): Partial<NexNetworkRecord> {
  return Object.fromEntries(
    Object.entries(record).filter(([f]) => !(known as readonly string[]).includes(f)),
  );
}

function differingField(a: NexNetworkRecord, b: NexNetworkRecord): string | undefined {
  const [x, y] = [canonical(a), canonical(b)];
  return known.find((f) => !same(x[f], y[f]));
}

function sameNetwork(a: NexNetworkRecord, b: NexNetworkRecord): boolean {
  return differingField(a, b) === undefined;
}

/** The canonical form; records of Nex's daemons may be spelled otherwise, or hold values that would be refused now. */
function canonical(record: NexNetworkRecord): NexNetworkRecord {
  try {
    return checkNetwork(record);
  } catch (error) {
    if (error instanceof Refusal) return compact(record);
    throw error;
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}
