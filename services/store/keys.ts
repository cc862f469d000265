/**
 * Every key in etcd, in one table. Nothing else builds a key.
 *
 * The keys under /net, /member and /pool are those of Nex's first layout; ours alone lie under /strand. Nex's keys hold
 * one membership of a MAC and one member of a name: further ones lie under ours. Neither depends on the other: when the
 * one under Nex's key goes, the others stay where they are. The keys of Nex's newer layout (0.5) are read where they are,
 * and rewritten in those of the first one when a store is taken over.
 */

/** The kinds of keys under the prefixes of this table. */
export type KeyKind =
  | "network"
  | "member"
  | "further-member"
  | "claim-ip"
  | "claim-ip6"
  | "claim-name"
  | "further-name"
  | "member-of"
  | "newer-member"
  | "newer-name"
  | "pool"
  | "deleted-network"
  | "withheld"
  | "former";

const prefixes: Record<KeyKind, string> = {
  "network": "/net/", // NAME → Network
  "member": "/member/", // MAC → Member
  "further-member": "/strand/member/", // NET/MAC → Member: of a MAC whose record above is another network's
  "claim-ip": "/member/ip4/", // ADDR → MAC: whose the address is
  "claim-ip6": "/strand/nex/ip6/", // ADDR → MAC: the same for IPv6, which the old layout has no key for
  "claim-name": "/member/name/", // FQDN → MAC: whose the name is
  "further-name": "/strand/name/", // FQDN/MAC → MAC: further members with the name above
  "member-of": "/member/net/", // NET/MAC → MAC: listed members
  "newer-member": "/member/mac/", // MAC → Member, in the newer layout
  "newer-name": "/member/name/", // FQDN/MAC → MAC: who has the name, in the newer layout
  "pool": "/pool/", // NET → allocations of the old daemons; removed when taken over
  "deleted-network": "/strand/nex/deleted/", // NET: its remaining keys are being removed
  "withheld": "/strand/nex/withheld/", // ADDR → Withheld: in use by a foreign host, or by a client that is no member any more
  "former": "/strand/nex/former/", // ADDR → Former: who had it last, so that the same client gets it again
};

/** The prefixes that a mirror of names and addresses follows. */
export const nexPrefixes: readonly string[] = [
  "/net/",
  "/member/",
  "/pool/",
  "/strand/nex/",
  prefixes["further-member"],
  prefixes["further-name"],
];

/** True for a key of Nex's: all of them must be understood before any is removed or rewritten. */
export function isNexKey(key: string): boolean {
  return key.startsWith(prefixes.network) || key.startsWith(prefixes.member);
}

/** The prefixes of all networks and of all claims on IPv4 addresses, for guards over the whole of them. */
export const networksPrefix = prefixes.network, claimsPrefix = prefixes["claim-ip"];

/** No mirror follows this prefix: a replica need not know when another's fence changes. */
const FENCES = "/strand/fence/"; // UUID → "": see Fence
/** No other mirror follows this prefix: only the comparison of clocks does. */
const CLOCKS = "/strand/clocks/"; // UUID → Clock: a process's clock; a lease removes it when the process ends

export const keyOf = {
  network: (name: string) => prefixes.network + name,
  member: (mac: string) => prefixes.member + mac,
  furtherMember: (network: string, mac: string) => `${prefixes["further-member"]}${network}/${mac}`,
  claimIp: (address: string) => prefixes[address.includes(":") ? "claim-ip6" : "claim-ip"] + address,
  claimName: (fqdn: string) => prefixes["claim-name"] + fqdn,
  furtherName: (fqdn: string, mac: string) => `${prefixes["further-name"]}${fqdn}/${mac}`,
  newerMember: (mac: string) => prefixes["newer-member"] + mac,
  memberOf: (network: string, mac: string) => `${prefixes["member-of"]}${network}/${mac}`,
  pool: (network: string) => prefixes.pool + network,
  deletedNetwork: (name: string) => prefixes["deleted-network"] + name,
  withheld: (address: string) => prefixes.withheld + address,
  former: (address: string) => prefixes.former + address,
  fence: (name: string) => FENCES + name,
  clock: (id: string) => CLOCKS + id,
};

/** Kinds whose keys are of two parts. */
const pairs: ReadonlySet<KeyKind> = new Set(["member-of", "further-member", "further-name", "newer-name"]);

const entries = Object.entries(prefixes) as [KeyKind, string][];
const pairsByPrefix = new Map(entries.filter(([kind]) => pairs.has(kind)).map(([kind, at]) => [at, kind]));
const othersByPrefix = new Map(entries.filter(([kind]) => !pairs.has(kind)).map(([kind, at]) => [at, kind]));

/**
 * The kind of a key and the part of it after its prefix; undefined when it is not in the table. Names and MACs contain no slash, so
 * the last slash ends the prefix, or the last but one: a deeper key belongs to another program.
 */
export function readKey(key: string): { kind: KeyKind; id: string } | undefined {
  const last = key.lastIndexOf("/"), other = othersByPrefix.get(key.slice(0, last + 1));
  if (last < 0 || last === key.length - 1) return undefined;
  if (other) return { kind: other, id: key.slice(last + 1) };
  const before = key.lastIndexOf("/", last - 1), pair = pairsByPrefix.get(key.slice(0, before + 1));
  return pair && before < last - 1 ? { kind: pair, id: key.slice(before + 1) } : undefined;
}

/** The prefix of the processes' clocks. */
export const clocksPrefix = CLOCKS;
