/**
 * Every value in etcd, in one table. Nothing else parses or writes one.
 *
 * The JSON is what Nex has always stored: proto names, empty fields left out. Fields that are not known here
 * are kept when a record is written again.
 */
import { z } from "zod";
import { Cidr, Ip } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import { clocksPrefix, nexPrefixes, readKey } from "./keys.ts";
import { readRecord } from "./read_record.ts";
import type { Schema } from "./types.ts";

const text = z.string();
const cidr = text.refine((t) => Cidr.tryParse(t), "no CIDR, like 10.0.0.0/24");
const ip = text.refine((t) => Ip.tryParse(t), "no IP address, like 10.0.0.1");
const mac = text.refine((t) => tryParseMac(t), "no MAC address, like 00:00:11:11:00:01");
// The old daemons leave an address out by storing it empty.
const optional = <T extends z.ZodType>(type: T) =>
  z.union([z.literal("").transform(() => undefined), type]).optional();

const network = z.looseObject({
  name: text,
  subnet4: optional(cidr),
  subnet6: optional(cidr),
  dhcp4server: optional(ip),
  dhcp6server: optional(ip),
  Range4: z.looseObject({ begin: ip, end: ip }).optional(),
  Range6: z.looseObject({ begin: ip, end: ip }).optional(),
  gateways: z.array(ip).optional(),
  nameservers: z.array(ip).optional(),
  options: z.array(z.looseObject({ number: z.int().default(0), value: text.default("") })).optional(),
  domain: text.optional(),
  macRange: z.looseObject({ begin: mac, end: mac }).optional(),
  siaddr: optional(ip),
  leaseDuration: z.number().int().nonnegative().optional(),
});

const lease = z.looseObject({
  address: optional(ip),
  /** protobuf Timestamp as Go's JSON writes it. */
  expires: z.looseObject({ seconds: z.int().optional(), nanos: z.int().optional() }).optional(),
});

const member = z.looseObject({
  mac: text.optional(),
  name: text.optional(),
  ip4: lease.optional(),
  ip6: lease.optional(),
  net: text.optional(),
  /** Ours: there only because of a lease, and gone with it. */
  dynamic: z.boolean().optional(),
  /** Ours: the name that the client itself gave, fully qualified; it goes with the lease. */
  hostname: text.optional(),
  /** As newer releases of Nex store it: what the client calls itself. Written where its name is another, or it has none. */
  client_name: text.optional(),
  /** Ours: others may have its name too. */
  shared: z.boolean().optional(),
});

/** What is left of a deleted network is found by its name, and by the subnet that it had. */
const deletedNetwork = z.looseObject({ subnet4: text.optional() });
/** Until when, in seconds since the epoch, and whose it was. */
const withheld = z.looseObject({
  net: text,
  mac: text,
  until: z.int(),
  /** The client has a lease on it, and no member has it any more; otherwise the client declined it. */
  leased: z.boolean().optional(),
});
/** Seconds since the epoch, and whose it was. */
const former = z.looseObject({ mac: text, ended: z.int() });
/**
 * In ms: the time that a process had, by how much it has seen others' clocks ahead of it, by their ids, and after how long at
 * most it publishes its next time; absent: 5 s, as in earlier versions. Of which machine
 * and process, and for how many seconds that machine was up: see services/common/machine.ts.
 */
const clock = z.looseObject({
  name: text.optional(),
  time: z.int(),
  ahead: z.record(text, z.int()).optional(),
  every: z.int().min(0).optional(),
  host: text.optional(),
  pid: z.int().min(1).optional(),
  up: z.int().optional(),
});

export type NetworkRecord = z.infer<typeof network>;
export type MemberRecord = z.infer<typeof member>;
export type LeaseRecord = z.infer<typeof lease>;
export type DeletedNetworkRecord = z.infer<typeof deletedNetwork>;
export type WithheldRecord = z.infer<typeof withheld>;
export type FormerRecord = z.infer<typeof former>;
export type ClockValue = z.infer<typeof clock>;

/** What a process says of its clock. */
export interface ClockRecord {
  readonly id: string;
  readonly value: ClockValue;
}

/** A value with what it is and the id that its key gives it. */
export type NexRecord =
  | { kind: "network"; id: string; value: NetworkRecord }
  | { kind: "member"; id: string; value: MemberRecord }
  | { kind: "further-member"; network: string; mac: string; value: MemberRecord }
  | { kind: "further-name"; name: string; mac: string }
  | { kind: "claim-ip" | "claim-ip6" | "claim-name"; id: string; mac: string }
  | { kind: "member-of"; network: string; mac: string }
  | { kind: "pool"; id: string }
  | { kind: "deleted-network"; id: string; value: DeletedNetworkRecord }
  | { kind: "withheld"; id: string; value: WithheldRecord }
  | { kind: "former"; id: string; value: FormerRecord };

/** Names and addresses, as {@link Schema} for the mirror. */
export const nexSchema: Schema<NexRecord> = {
  prefixes: nexPrefixes,
  parse(key, value) {
    const found = readKey(key);
    if (!found) return undefined;
    const { kind, id } = found;
    switch (kind) {
      case "network":
        return { kind, id, value: readRecord(network, value) };
      case "member":
        return { kind, id: id.toLowerCase(), value: readRecord(member, value) };
      case "claim-ip":
      case "claim-ip6":
      case "claim-name":
        // Old daemons wrote the raw MAC; one set of tools wrote it quoted.
        return { kind, id, mac: value.replace(/^"|"$/g, "").toLowerCase() };
      case "member-of": {
        const [network, mac] = pairOf(id);
        return { kind, network, mac: mac.toLowerCase() };
      }
      case "further-member": {
        const [network, mac] = ownPair(id);
        return { kind, network, mac, value: { ...readRecord(member, value), net: network } };
      }
      case "further-name": {
        const [name, mac] = ownPair(id);
        return { kind, name, mac };
      }
      case "pool":
        return { kind, id };
      case "deleted-network":
        return { kind, id, value: readRecord(deletedNetwork, value) };
      case "withheld":
        return { kind, id, value: readRecord(withheld, value) };
      case "former":
        return { kind, id, value: readRecord(former, value) };
    }
  },
};

function pairOf(id: string): [string, string] {
  const slash = id.lastIndexOf("/");
  return [id.slice(0, slash), id.slice(slash + 1)];
}

/** Keys of ours have one spelling. */
function ownPair(id: string): [string, string] {
  const pair = pairOf(id);
  if (pair[0] === "" || tryParseMac(pair[1]) !== pair[1]) {
    throw new Error(`the key does not end in /NAME/MAC, with a MAC address like 00:00:11:11:00:01`);
  }
  return pair;
}

/** The processes' clocks, as {@link Schema} for a mirror of their own. */
export const clockSchema: Schema<ClockRecord> = {
  prefixes: [clocksPrefix],
  parse: (key, value) => ({ id: key.slice(clocksPrefix.length), value: readRecord(clock, value) }),
};

/** The stored text of a record: empty fields left out, as the old daemons do. */
export function writeRecord(
  value: NetworkRecord | MemberRecord | DeletedNetworkRecord | WithheldRecord | FormerRecord | ClockValue,
): string {
  return JSON.stringify(
    value,
    (_, v) => v === "" || v === false || (Array.isArray(v) && v.length === 0) ? undefined : v,
  );
}
