import { Ip } from "../common/ip.ts";
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import type { MemberRecord } from "../store/records.ts";
import { type Network, subnetFor } from "./network.ts";
import { type Action, findNetwork } from "./networks.ts";
import { qualify } from "./names.ts";
import { giveAddress } from "./pool.ts";
import { MAX_PLAN_OPS } from "../store/types.ts";
import { type Draft, merge } from "./steps.ts";

/** A member as it is asked for. An empty name or address is one that is not given. */
export interface MemberRequest {
  readonly mac: string;
  readonly name?: string | undefined;
  readonly ip4?: string | undefined;
  readonly ip6?: string | undefined;
}

/** A change to a member: undefined leaves a field as it is, an empty text takes it away. */
export type MemberUpdate = MemberRequest;

export interface AddOptions {
  /** Replace members that exist with other contents. */
  readonly force?: boolean;
  /** Addresses that other members are to have: see {@link askedAddresses}. */
  readonly reserved?: ReadonlySet<number>;
}

/** The IPv4 addresses that are asked for by name, as 32-bit values: members without one are given others. */
export function askedAddresses(list: readonly MemberRequest[]): Set<number> {
  const ips = list.flatMap(({ ip4 }) => (ip4 && Ip.tryParse(ip4)) || []);
  return new Set(ips.flatMap((ip) => ip.family === 4 ? ip.u32 : []));
}

/**
 * Plans members of a network, a step for each in list order. One that exists with the same contents is left as it is;
 * with other contents it is refused, unless `force`.
 *
 * @returns What becomes of each, in list order.
 */
export function addMembers(
  draft: Draft,
  net: string,
  list: readonly MemberRequest[],
  { force = false, reserved = askedAddresses(list) }: AddOptions = {},
): { name: string; mac: string; action: Action }[] {
  const network = findNetwork(draft, net);
  const asked = list.map((request) => checkRequest(network, request));
  refuseTwice(asked);
  return asked.map((a) => ({
    name: a.name || a.mac,
    mac: a.mac,
    action: addMember(draft, network, a, { force, reserved }),
  }));
}

function addMember(
  draft: Draft,
  network: Network,
  asked: MemberRequest,
  { force, reserved }: Required<AddOptions>,
): Action {
  const before = draft.member(asked.mac);
  const field = (f: string) => `member ${asked.mac}: ${f}`;
  // What a deleted network has left is as good as gone.
  const listed = before && !before.dynamic && draft.network(before.net ?? "") !== undefined;
  if (listed && matches(before, network, asked)) return "unchanged";
  if (listed && !force) {
    const where = before.net === network.name
      ? `with another ${differs(before, asked)}`
      : `in network ${before.net}`;
    throw new Refusal(
      "exists",
      `member ${asked.mac} exists ${where} (${describe(before)}); replace it with --force`,
    );
  }
  refuseHeldAddress(draft, asked, field);
  const stays = before && draft.networkAt(before.ip4)?.name === network.name &&
    (before.net ?? network.name) === network.name;
  const kept = stays && before.ip4 && !asked.ip4 ? before.record.ip4 : undefined;
  const ip4 = asked.ip4
    ? stays && asked.ip4 === before.ip4 ? before.record.ip4 : { address: asked.ip4 }
    : kept ?? (network.range4
      ? { address: giveAddress(draft, network, `member ${asked.mac}`, reserved).toString() }
      : undefined);
  const { dynamic: _, hostname, name: __, ip4: ___, ip6: ____, ...unknown } = before?.record ??
    {} as MemberRecord;
  freeName(draft, asked.name, asked.mac, field);
  draft.setMember(asked.mac, {
    ...unknown,
    mac: asked.mac,
    net: network.name,
    ...asked.name ? { name: asked.name } : stays && hostname ? { hostname } : {},
    ...ip4 ? { ip4 } : {},
    ...asked.ip6 ? { ip6: { address: asked.ip6 } } : {},
  });
  return listed ? "updated" : "created";
}

/** Plans changes to members of a network that exist. */
export function updateMembers(draft: Draft, net: string, list: readonly MemberUpdate[]): void {
  const network = findNetwork(draft, net);
  const updates = list.map((update) => ({
    ...checkRequest(network, update),
    given: update,
  }));
  refuseTwice(updates);
  const reserved = askedAddresses(updates);
  for (const update of updates) {
    const field = (f: string) => `member ${update.mac}: ${f}`;
    const before = draft.member(update.mac);
    if (!before || !isMember(draft, network, update.mac)) {
      throw new Refusal("not-found", `network ${network.name} has no member ${update.mac}`);
    }
    refuseHeldAddress(draft, update, field);
    freeName(draft, update.name, update.mac, field);
    const record: MemberRecord = { ...before.record, net: network.name };
    // Somebody who is given a name or an address by hand is here to stay.
    delete record.dynamic;
    if (update.given.name !== undefined) {
      delete record.hostname;
      if (update.name) record.name = update.name;
      else delete record.name;
    }
    if (update.given.ip4 !== undefined) {
      const address = update.ip4 ??
        (network.range4
          ? giveAddress(draft, network, `member ${update.mac}`, reserved).toString()
          : undefined);
      if (address === undefined) delete record.ip4;
      // The lease that ran was for the other address.
      else if (address !== before.ip4) record.ip4 = { address };
    }
    if (update.given.ip6 !== undefined) {
      if (update.ip6) record.ip6 = { ...record.ip6, address: update.ip6 };
      else delete record.ip6;
    }
    if (JSON.stringify(record) !== JSON.stringify(before.record)) draft.setMember(update.mac, record);
  }
}

/** Plans the end of members; a lease and a name go with them. */
export function deleteMembers(draft: Draft, net: string, macs: readonly string[]): void {
  const network = findNetwork(draft, net);
  for (const mac of new Set(macs.map((m) => parseMac(m, "mac")))) {
    const isThere = isMember(draft, network, mac);
    if (!draft.attempts.found(`member ${mac}`, isThere)) {
      throw new Refusal("not-found", `network ${network.name} has no member ${mac}`);
    }
    if (isThere) draft.setMember(mac, undefined);
  }
}

function isMember(draft: Draft, network: Network, mac: string): boolean {
  const member = draft.member(mac);
  return member !== undefined && (member.net ?? draft.networkAt(member.ip4)?.name) === network.name;
}

/**
 * Plans moves of a network's members to other MACs, with their names, addresses and leases. Moves that meet on a MAC, one member
 * taking what another leaves, happen at once; the others are a step each.
 */
export function changeMemberIds(
  draft: Draft,
  net: string,
  list: readonly { old: string; new: string }[],
): void {
  if (!net) throw invalid("net: missing: the network whose members get other MACs");
  const network = findNetwork(draft, net);
  const given = list.map((c) => ({ old: parseMac(c.old, "old"), new: parseMac(c.new, "new") }));
  for (const side of ["old", "new"] as const) {
    const twice = firstTwice(given.map((c) => c[side]));
    if (twice) throw invalid(`${side}: ${twice} is in the list twice`);
  }
  // Once an attempt has moved a member, it is its new MAC that is there.
  const changes = given.filter((c) => {
    const isThere = isMember(draft, network, c.old);
    if (!draft.attempts.found(`move ${c.old}`, isThere)) {
      throw new Refusal("not-found", `network ${network.name} has no member ${c.old}`);
    }
    return isThere;
  });
  const leaving = new Set(changes.map((c) => c.old));
  for (const change of changes) {
    const holder = draft.member(change.new);
    if (holder && !leaving.has(change.new)) {
      throw new Refusal("exists", `member ${change.new} exists (${describe(holder)})`);
    }
  }
  for (const chain of chains(changes)) {
    const start = draft.steps.length;
    const moving = chain.map((c) => ({ mac: c.new, record: draft.member(c.old)?.record ?? {} }));
    for (const { old } of chain) draft.setMember(old, undefined);
    for (const { mac, record } of moving) draft.setMember(mac, { ...record, mac });
    const step = merge(draft.steps.splice(start));
    if (Math.max(step.ops.length, step.guards.length) > MAX_PLAN_OPS) {
      throw invalid(
        `list: ${chain.length} moves hang together, each to the MAC that the next one leaves: ` +
          `that is more than one transaction holds; move them in parts`,
      );
    }
    draft.steps.push(step);
  }
}

/** Moves that hang together by a MAC, in groups. */
function chains(changes: readonly { old: string; new: string }[]): { old: string; new: string }[][] {
  const from = new Map(changes.map((c) => [c.old, c])), to = new Map(changes.map((c) => [c.new, c]));
  const left = new Set(changes), found: { old: string; new: string }[][] = [];
  for (const change of changes) {
    if (!left.delete(change)) continue;
    const chain = [change];
    for (let next = from.get(change.new); next && left.delete(next); next = from.get(next.new)) {
      chain.push(next);
    }
    for (let next = to.get(change.old); next && left.delete(next); next = to.get(next.old)) chain.push(next);
    found.push(chain);
  }
  return found;
}

/** A request in canonical form, its fields checked by themselves and against the network. */
function checkRequest(network: Network, given: MemberRequest): MemberRequest {
  const mac = parseMac(given.mac);
  const field = (f: string) => `member ${mac}: ${f}`;
  const address = (text: string | undefined, family: 4 | 6) => {
    if (!text) return undefined;
    const ip = Ip.parse(text, field(`ip${family}`));
    if (ip.family !== family) throw invalid(`${field(`ip${family}`)}: ${ip} is not an IPv${family} address`);
    const subnet = subnetFor(network, ip);
    if (!subnet?.contains(ip)) {
      throw invalid(
        `${field(`ip${family}`)}: ${ip} is outside ${subnet ?? "network"} of network ${network.name}`,
      );
    }
    if (subnet.reserved(ip)) {
      throw invalid(`${field("ip4")}: ${ip} is the network or broadcast address of ${subnet}`);
    }
    return ip.toString();
  };
  return {
    mac,
    name: given.name ? qualify(given.name, network.domain, field("name")) : undefined,
    ip4: address(given.ip4, 4),
    ip6: address(given.ip6, 6),
  };
}

function refuseTwice(list: readonly MemberRequest[]): void {
  for (const field of ["mac", "name", "ip4", "ip6"] as const) {
    const twice = firstTwice(list.flatMap((m) => m[field] ?? []));
    if (twice) throw invalid(`${field}: ${twice} is in the list twice`);
  }
}

function firstTwice(values: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return values.find((v) => seen.has(v) || !seen.add(v));
}

function refuseHeldAddress(draft: Draft, asked: MemberRequest, field: (f: string) => string): void {
  for (const f of ["ip4", "ip6"] as const) {
    const address = asked[f];
    const holder = address && draft.holderOfAddress(address);
    if (holder && holder !== asked.mac) {
      throw new Refusal(
        "exists",
        `${field(f)}: ${address} belongs to ${describeHolder(draft, holder)} already${
          leaseOf(draft, holder)
        }`,
      );
    }
  }
}

/** Refuses a name that a member holds; one that a client only asked for gives way. */
function freeName(draft: Draft, name: string | undefined, mac: string, field: (f: string) => string): void {
  const holder = name && draft.holderOfName(name);
  if (!holder || holder === mac) return;
  const member = draft.member(holder);
  if (member?.record.name || !member) {
    throw new Refusal(
      "exists",
      `${field("name")}: ${name} belongs to ${describeHolder(draft, holder)} already`,
    );
  }
  const { hostname: _, ...record } = member.record;
  draft.setMember(holder, record);
}

function matches(
  before: { record: MemberRecord; net: string | undefined; ip4: string | undefined },
  network: Network,
  asked: MemberRequest,
) {
  return before.net === network.name && differs(before, asked) === undefined;
}

/** The first field in which a member is not as asked; an address that is not asked for may be any. */
function differs(
  before: { record: MemberRecord; ip4: string | undefined },
  asked: MemberRequest,
): string | undefined {
  if ((before.record.name ?? "").toLowerCase() !== (asked.name ?? "")) return "name";
  if (asked.ip4 && asked.ip4 !== before.ip4) return "ip4";
  if ((before.record.ip6?.address ?? "") !== (asked.ip6 ?? "")) return "ip6";
  return undefined;
}

function describe(member: { name: string | undefined; ip4: string | undefined }): string {
  return [member.name, member.ip4].filter(Boolean).join(", ") || "without name and address";
}

function leaseOf(draft: Draft, mac: string): string {
  const expires = draft.member(mac)?.expires;
  return expires === undefined ? "" : `, with a lease until ${new Date(expires * 1000).toISOString()}`;
}

function describeHolder(draft: Draft, mac: string): string {
  const name = draft.member(mac)?.name;
  return name ? `${mac} (${name})` : mac;
}
