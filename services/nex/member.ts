/** A member: a MAC's membership of one network. */
import { isNexKey, keyOf } from "../store/keys.ts";
import type { Entry } from "../store/types.ts";
import type { MemberRecord } from "../store/records.ts";

/** A MAC's membership of one network, as the store holds it; a MAC may have one in each of several networks. */
export interface Member {
  readonly mac: string;
  /**
   * Unique among memberships: the MAC for one under Nex's key, NET/MAC for one under ours, the key for a second record under
   * Nex's keys, as a store of both of its layouts may hold.
   */
  readonly id: string;
  readonly record: MemberRecord;
  readonly key: string;
  readonly modRevision: number;
  /** The network that the record names; members of Nex's daemons may have none, and their network follows from their address. */
  readonly net: string | undefined;
  /** It exists only because of a lease, and ends with it. */
  readonly dynamic: boolean;
  readonly ip4: string | undefined;
  readonly ip6: string | undefined;
  /** When the lease ends, in seconds since the epoch; undefined while none runs. */
  readonly expires: number | undefined;
  /**
   * Fully qualified and lower-case: the name that it was given, or else the one that its client asked for. Undefined also for a
   * name with a slash, as others may have stored: the key of a claim on it would be read as another kind of key, or as none.
   */
  readonly name: string | undefined;
}

/** Reads a stored member, whose id follows from its key. Nex's daemons store dynamic members without their network. */
export function readMember(
  id: string,
  mac: string,
  entry: Pick<Entry<unknown>, "key" | "modRevision">,
  record: MemberRecord,
): Member {
  const name = record.name || record.hostname;
  return {
    mac,
    id,
    record,
    key: entry.key,
    modRevision: entry.modRevision,
    net: record.net || undefined,
    dynamic: record.dynamic === true || !record.net,
    ip4: record.ip4?.address,
    ip6: record.ip6?.address,
    expires: record.ip4?.expires?.seconds,
    name: name?.includes("/") ? undefined : name?.toLowerCase(),
  };
}

/** The id of a membership under our key, for a MAC that has another one under Nex's. */
export function furtherId(network: string, mac: string): string {
  return `${network}/${mac}`;
}

/**
 * Compares two records of one MAC in one network, as a store of both of Nex's layouts may hold: less than 0 where `a` counts.
 * That is the record whose lease ends last, so that no running lease is lost; else that of the newer layout, which was made from
 * the other; else the one under the key of the first layout.
 */
export function byPrecedence(a: Member, b: Member): number {
  const rank = ({ key, mac }: Member) =>
    [keyOf.newerMember(mac), keyOf.member(mac)].indexOf(key) + 1 || (isNexKey(key) ? 3 : 4);
  return (b.expires ?? 0) - (a.expires ?? 0) || rank(a) - rank(b) || (a.key < b.key ? -1 : 1);
}
