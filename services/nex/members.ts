/** Plans that create, change and delete members for operators. */
import { Ip } from "../common/ip.ts";
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import type { MemberRecord } from "../store/records.ts";
import { withoutHostname } from "./client_name.ts";
import { isHeldFor, leaseOn, stillRuns } from "./held.ts";
import type { Member } from "./member.ts";
import { type Network, subnetFor } from "./network.ts";
import { type Action, findNetwork } from "./networks.ts";
import { qualify } from "./names.ts";
import { giveAddress } from "./pool.ts";
import { atFirst, type Attempt } from "./refused_objects.ts";
import type { Draft } from "./steps.ts";

/** A member as a request has it. An empty name or address counts as not given. */
export interface MemberRequest {
  readonly mac: string;
  readonly name?: string | undefined;
  readonly ip4?: string | undefined;
  readonly ip6?: string | undefined;
  /** Other members may have the same name. */
  readonly shared?: boolean | undefined;
}

/** A change to a member: undefined leaves a field as it is, an empty text removes it. */
export type MemberUpdate = MemberRequest;

export interface AddOptions {
  /** Members that exist with other contents are replaced. */
  readonly force?: boolean;
  /** Addresses that other members are to have: see {@link requestedAddresses}. */
  readonly reserved?: ReadonlySet<number>;
  /**
   * Present: a name that another member has becomes shared with it, and this is called with a sentence about it.
   * Absent: a name is shared only where the request says so, and the caller must call {@link refuseUnshared}.
   */
  readonly onShared?: (what: string) => void;
  /** Runs what plans each member (default: refuses the list with the first that is refused). */
  readonly attempt?: Attempt;
}

/** The IPv4 addresses that are asked for by name, as 32-bit values: members without one are given others. */
export function requestedAddresses(list: readonly MemberRequest[]): Set<number> {
  const ips = list.flatMap(({ ip4 }) => (ip4 && Ip.tryParse(ip4)) || []);
  return new Set(ips.flatMap((ip) => ip.family === 4 ? ip.u32 : []));
}

/**
 * Plans members of a network, a step for each in list order. One that exists with the same contents is left as it is;
 * with other contents it is refused, unless `force`.
 *
 * @returns the outcome for each, in list order; `name` is the qualified one, or the MAC where there is none.
 */
export function addMembers(
  draft: Draft,
  net: string,
  list: readonly MemberRequest[],
  options: AddOptions = {},
): { name: string; mac: string; action: Action }[] {
  const network = findNetwork(draft, net);
  const { attempt = atFirst } = options, part = (mac: string) => ({ kind: "Member", net, mac }) as const;
  const requests = list.flatMap((request) =>
    attempt(part(request.mac), () => checkRequest(network, request)) ?? []
  );
  refuseTwice(requests);
  const complete = { reserved: requestedAddresses(list), ...options };
  return requests.flatMap((a) => {
    const { mac, name = mac } = a;
    const action = attempt(part(mac), () => addMember(draft, network, a, complete));
    return action === undefined ? [] : { name, mac, action };
  });
}

function addMember(draft: Draft, network: Network, request: MemberRequest, options: AddOptions): Action {
  const before = draft.member(request.mac, network.name);
  const field = (f: string) => `member ${request.mac}: ${f}`;
  const listed = before && !before.dynamic;
  const difference = listed && differs(before, request);
  if (listed && difference && !options.force) {
    throw new Refusal(
      "exists",
      `member ${request.mac} exists with another ${difference} (${
        describe(before)
      }); replace it with --force`,
    );
  }
  const shared = request.shared ?? before?.record.shared ?? false;
  if (listed && !difference && shared === (before.record.shared ?? false)) return "unchanged";
  refuseTakenAddress(draft, network, request, field);
  const own = before?.ip4 ? Ip.tryParse(before.ip4) : undefined;
  const stays = own && network.subnet4?.contains(own) && (!request.ip4 || request.ip4 === before?.ip4);
  const kept = stays ? before?.record.ip4 : undefined;
  const given = request.ip4 ??
    (network.range4 && !kept
      ? giveAddress(draft, network, request.mac, options.reserved).toString()
      : undefined);
  const ip4 = kept ?? (given === undefined ? undefined : leaseOn(draft, network, request.mac, given));
  const { dynamic: _, shared: __, hostname, name: ___, ip4: ____, ip6: _____, ...unknown } = before?.record ??
    {} as MemberRecord;
  const others = request.name ? freeName(draft, request.name, request.mac) : [];
  const share = others.length > 0 && options.onShared;
  if (share) {
    for (const other of others) {
      if (!other.record.shared) draft.setMember(other.mac, other, { ...other.record, shared: true });
    }
    const named = others.slice(0, 3).map((other) => `${other.mac} of network ${draft.netOf(other)}`);
    const more = others.length > named.length ? ` and ${others.length - named.length} more` : "";
    share(`the name ${request.name} of member ${request.mac} is also that of ${named.join(", ")}${more}`);
  }
  draft.setMember(request.mac, before, {
    ...unknown,
    mac: request.mac,
    net: network.name,
    ...request.name ? { name: request.name } : hostname ? { hostname } : {},
    ...shared || share ? { shared: true } : {},
    ...ip4 ? { ip4 } : {},
    ...request.ip6 ? { ip6: { address: request.ip6 } } : {},
  });
  return listed ? "updated" : "created";
}

/**
 * Refuses a name that several members were given, unless each of them says that it is shared. It must be called once
 * everything is planned, since the other member may be later in the list.
 */
export function refuseUnshared(draft: Draft, names: Iterable<string>): void {
  for (const name of new Set(names)) {
    const holders = draft.membersNamed(name).filter(({ record }) => record.name);
    const last = holders.at(-1), other = holders.find(({ mac }) => mac !== last?.mac);
    const missing = holders.filter(({ record }) => !record.shared);
    if (!last || !other || !missing.length) continue;
    throw new Refusal(
      "exists",
      `member ${last.mac}: name: ${name} belongs to ${other.mac} of network ${draft.netOf(other)} already; ` +
        `a name that several members have needs "shared: true" on each of them: it is missing on ` +
        missing.map(({ mac }) => mac).join(", "),
    );
  }
}

/**
 * Plans changes to members of a network that exist.
 *
 * @param options.force An address may be taken that is held for another client's lease, and one that a client has a lease on
 *   and that its member leaves is free at once.
 */
export function updateMembers(
  draft: Draft,
  net: string,
  list: readonly MemberUpdate[],
  { force = false } = {},
): void {
  const network = findNetwork(draft, net);
  const updates = list.map((update) => ({
    ...checkRequest(network, update),
    given: update,
  }));
  refuseTwice(updates);
  const reserved = requestedAddresses(updates);
  for (const update of updates) {
    const field = (f: string) => `member ${update.mac}: ${f}`;
    const before = draft.member(update.mac, network.name);
    if (!before) {
      throw new Refusal("not-found", `network ${network.name} has no member ${update.mac}`);
    }
    refuseTakenAddress(draft, network, update, field, force);
    if (update.name) freeName(draft, update.name, update.mac);
    const record: MemberRecord = { ...before.record, net: network.name };
    // A member with a name or an address set by hand does not end with its lease.
    delete record.dynamic;
    if (update.given.name !== undefined) {
      delete record.hostname;
      if (update.name) record.name = update.name;
      else delete record.name;
    }
    if (update.given.ip4 !== undefined) {
      const address = update.ip4 ??
        (network.range4 ? giveAddress(draft, network, update.mac, reserved).toString() : undefined);
      if (address === undefined) delete record.ip4;
      // The lease that ran was for the other address.
      else if (address !== before.ip4) record.ip4 = leaseOn(draft, network, update.mac, address);
    }
    if (update.given.ip6 !== undefined) {
      if (update.ip6) record.ip6 = { ...record.ip6, address: update.ip6 };
      else delete record.ip6;
    }
    if (JSON.stringify(record) !== JSON.stringify(before.record)) {
      draft.setMember(update.mac, before, record, { free: force });
    }
  }
  refuseUnshared(draft, updates.flatMap((update) => update.name ?? []));
}

/**
 * Plans the end of members and of their names. An address that a client has a lease on is held until that is over.
 *
 * @param options.force Such addresses are free at once, also those that are held for these MACs already.
 */
export function deleteMembers(
  draft: Draft,
  net: string,
  macs: readonly string[],
  { force = false } = {},
): void {
  const network = findNetwork(draft, net);
  for (const mac of new Set(macs.map((m) => parseMac(m, "mac")))) {
    const member = draft.member(mac, network.name);
    const held = force ? draft.heldFor(mac).filter((ip) => isHeldFor(draft, network, mac, ip)) : [];
    if (!draft.attempts.found(`member ${mac}`, member !== undefined || held.length > 0)) {
      throw new Refusal("not-found", `network ${network.name} has no member ${mac}`);
    }
    if (member) draft.setMember(mac, member, undefined, { free: force });
    for (const address of held) draft.release(address);
  }
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
    shared: given.shared,
  };
}

function refuseTwice(list: readonly MemberRequest[]): void {
  for (const field of ["mac", "ip4", "ip6"] as const) {
    const twice = firstTwice(list.flatMap((m) => m[field] ?? []));
    if (twice) throw invalid(`${field}: ${twice} is in the list twice`);
  }
}

/** The first value that occurs twice. */
export function firstTwice(values: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return values.find((v) => seen.has(v) || !seen.add(v));
}

function refuseTakenAddress(
  draft: Draft,
  network: Network,
  request: MemberRequest,
  field: (f: string) => string,
  force = false,
): void {
  for (const f of ["ip4", "ip6"] as const) {
    const address = request[f];
    const holder = address && draft.memberAt(address);
    if (holder && !(holder.mac === request.mac && draft.netOf(holder) === network.name)) {
      throw new Refusal(
        "exists",
        `${field(f)}: ${address} belongs to ${whose(holder)} already${leaseOf(holder)}`,
      );
    }
  }
  const held = request.ip4 ? draft.withheld.get(request.ip4) : undefined;
  if (!request.ip4 || !held?.leased || force || !stillRuns(held.until, draft.now)) return;
  if (isHeldFor(draft, network, request.mac, request.ip4)) return;
  throw new Refusal(
    "exists",
    `${field("ip4")}: ${request.ip4} is held for ${held.mac}, whose lease runs until ${
      timeOf(held.until)
    }; ` +
      "take it all the same with: nex set member ip4 --force",
  );
}

/** The most members of one name. A DNS answer holds some 4,000 addresses, and each change of a member reads all of them. */
const MOST_OF_A_NAME = 1000;

/**
 * Plans that clients lose a name that they only asked for.
 * @returns Members of other MACs that were given the name.
 * @throws Refusal "exhausted" where these are too many
 */
function freeName(draft: Draft, name: string, mac: string): Member[] {
  const others = draft.membersNamed(name).filter((member) => member.mac !== mac);
  for (const member of others) {
    if (!member.record.name) draft.setMember(member.mac, member, withoutHostname(member.record));
  }
  const given = others.filter(({ record }) => record.name);
  if (given.length >= MOST_OF_A_NAME) {
    throw new Refusal(
      "exhausted",
      `member ${mac}: name: ${name} has ${given.length} members already, which is the most that a name has`,
    );
  }
  return given;
}

/** The first field in which a member differs from the request, where an address that is not given may be any. */
function differs(
  before: { record: MemberRecord; ip4: string | undefined },
  request: MemberRequest,
): string | undefined {
  if ((before.record.name ?? "").toLowerCase() !== (request.name ?? "")) return "name";
  if (request.ip4 && request.ip4 !== before.ip4) return "ip4";
  if ((before.record.ip6?.address ?? "") !== (request.ip6 ?? "")) return "ip6";
  return undefined;
}

/** A member's name and address, for a message. */
export function describe(member: { name: string | undefined; ip4: string | undefined }): string {
  return [member.name, member.ip4].filter(Boolean).join(", ") || "without name and address";
}

function whose({ mac, name }: Member): string {
  return name ? `${mac} (${name})` : mac;
}

function leaseOf({ expires }: Member): string {
  return expires === undefined ? "" : `, with a lease until ${timeOf(expires)}`;
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
