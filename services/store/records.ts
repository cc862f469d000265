/**
 * Parses and writes every value that names and addresses (Nex) have in etcd; no other file does.
 *
 * The JSON is that of Nex: proto field names, empty fields omitted. Field names are read in any case, with or without
 * underscores, and written as they are here. Unknown fields are kept when a record is written again.
 */
import { z } from "zod";
import { Cidr, Ip } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import { clocksPrefix, isNexKey, nexPrefixes, readKey } from "./keys.ts";
import { readRecord } from "./read_record.ts";
import type { Schema } from "./types.ts";

const text = z.string();
const cidr = text.refine((t) => Cidr.tryParse(t), "no CIDR, like 10.0.0.0/24");
const ip = text.refine((t) => Ip.familyOf(t), "no IP address, like 10.0.0.1");
const mac = text.refine((t) => tryParseMac(t), "no MAC address, like 00:00:11:11:00:01");
// Nex's daemons store an omitted address as empty text. The type is tried first: nearly all addresses that are there are one.
const optional = <T extends z.ZodType>(type: T) =>
  z.union([type, z.literal("").transform(() => undefined)]).optional();

/** An object with these fields, whose names may be spelled otherwise, and with further ones. */
function inAnySpelling<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = new Map(Object.keys(shape).map((name) => [bare(name), name]));
  return z.preprocess((value, context) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const isOther = (name: string) => !Object.hasOwn(shape, name) && known.has(bare(name));
    if (!Object.keys(value).some(isOther)) return value;
    const spelled = Object.entries(value).map(([name, content]) => [known.get(bare(name)) ?? name, content]);
    const twice = spelled.find(([name], i) => spelled.findIndex(([other]) => other === name) !== i);
    if (twice) context.issues.push({ code: "custom", message: `${twice[0]} is there twice`, input: value });
    return Object.fromEntries(spelled);
  }, z.looseObject(shape));
}

function bare(name: string): string {
  return name.toLowerCase().replaceAll("_", "");
}

/**
 * Seconds since the epoch, limited to what a protobuf Timestamp and texts of times can hold: the end of the year
 * 9999.
 */
const time = z.int().transform((seconds) => Math.max(0, Math.min(seconds, 253_402_300_799)));

/** The schemas of networks and members. The exact ones refuse an object with any name that is not spelled as here. */
function schemas(exact: boolean) {
  const fields = <Shape extends z.ZodRawShape>(shape: Shape) =>
    exact ? z.object(shape).catchall<z.ZodType>(z.never()) : inAnySpelling(shape);

  /** A range. Go stores one without ends, as a spec may have it, as an empty object. */
  function range(end: z.ZodType<string>) {
    const isEmpty = (value: unknown) => JSON.stringify(value) === "{}";
    const ends = fields({ begin: end, end }).optional();
    return z.preprocess((value) => isEmpty(value) ? undefined : value, ends).optional();
  }

  const network = fields({
    name: text,
    subnet4: optional(cidr),
    subnet6: optional(cidr),
    dhcp4server: optional(ip),
    dhcp6server: optional(ip),
    Range4: range(ip),
    Range6: range(ip),
    gateways: z.array(ip).optional(),
    nameservers: z.array(ip).optional(),
    options: z.array(fields({ number: z.int().default(0), value: text.default("") })).optional(),
    domain: text.optional(),
    macRange: range(mac),
    siaddr: optional(ip),
    lease_duration: z.number().int().nonnegative().optional(),
  });

  const lease = fields({
    address: optional(ip),
    /** A protobuf Timestamp as Go's JSON has it. */
    expires: fields({ seconds: time.optional(), nanos: z.int().optional() }).optional(),
  });

  const member = fields({
    mac: text.optional(),
    name: text.optional(),
    ip4: lease.optional(),
    ip6: lease.optional(),
    net: text.optional(),
    /** Strand only: the member exists only because of a lease, and ends with it. */
    dynamic: z.boolean().optional(),
    /** Strand only: the fully qualified name that the client itself asked for; it is removed with the lease. */
    hostname: text.optional(),
    /**
     * The client's own name, as newer releases of Nex store it. Written where the member's name differs or is missing.
     */
    client_name: text.optional(),
    /** Strand only: other members may have the same name. */
    shared: z.boolean().optional(),
  });

  return { network, member };
}

const tolerant = schemas(false);
/** Nearly all records can be read by these, which take less than half the time: a listing has many, and each lease is one. */
const exact = schemas(true);

/** A network of names and addresses, also as the settings of an overlay network hold what was set of it. */
export const networkRecord = tolerant.network;

/** The mark of a deleted network; what it leaves is found by its name, and by the subnet that it had. */
const deletedNetwork = z.looseObject({ subnet4: text.optional() });
/** An address withheld from other clients: until when, in seconds since the epoch, and which client had it. */
const withheld = z.looseObject({
  net: text,
  mac,
  until: time,
  /** True: the client still has a lease on it, and no member has it; absent: the client declined it. */
  leased: z.boolean().optional(),
  /** The relay, and the circuit of it, by which the client's DECLINE came; absent: none is known. */
  circuit: text.optional(),
});
/** An address's former holder: when its lease ended, in seconds since the epoch, and its MAC. */
const former = z.looseObject({ mac, ended: time });
/**
 * A process's clock, in ms: its time, by how much it has seen others' clocks ahead, by their ids, and the longest
 * interval until it publishes its next time; absent: 5 s, as in earlier versions. It also names machine and process,
 * and for how many seconds the machine has been up: see services/common/machine.ts.
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

export type NexNetworkRecord = z.infer<typeof networkRecord>;
export type MemberRecord = z.infer<typeof tolerant.member>;
export type LeaseRecord = NonNullable<MemberRecord["ip4"]>;
export type DeletedNetworkRecord = z.infer<typeof deletedNetwork>;
export type WithheldRecord = z.infer<typeof withheld>;
export type FormerRecord = z.infer<typeof former>;
export type ClockValue = z.infer<typeof clock>;

/** A process's record of its clock. */
export interface ClockRecord {
  readonly id: string;
  readonly value: ClockValue;
}

/** A parsed value with its kind and the id from its key. */
export type NexRecord =
  /** `respelled`: a field's name is stored in another spelling than ours. */
  | { kind: "network"; id: string; value: NexNetworkRecord; respelled: boolean }
  /** Its key may be of the newer layout, or spell the MAC differently. */
  | { kind: "member"; id: string; value: MemberRecord }
  | { kind: "further-member"; network: string; mac: string; value: MemberRecord }
  | { kind: "further-name"; name: string; mac: string }
  | { kind: "claim-ip" | "claim-ip6" | "claim-name"; id: string; mac: string }
  | { kind: "member-of"; network: string; mac: string }
  | { kind: "newer-name"; name: string; mac: string }
  | { kind: "pool"; id: string }
  | { kind: "deleted-network"; id: string; value: DeletedNetworkRecord }
  | { kind: "withheld"; id: string; value: WithheldRecord }
  | { kind: "former"; id: string; value: FormerRecord };

/** The {@link Schema} by which a mirror follows names and addresses. */
export const nexSchema: Schema<NexRecord> = {
  prefixes: nexPrefixes,
  parse(key, value) {
    const found = readKey(key);
    if (!found) {
      if (isNexKey(key)) throw new Error("no key of a layout of Nex that is known");
      return undefined;
    }
    const { kind, id } = found;
    switch (kind) {
      case "network": {
        const record = readRecord(tolerant.network, value, exact.network);
        return { kind, id, value: record, respelled: isRespelled(value, record) };
      }
      case "member":
      case "newer-member": {
        const mac = macOf(id, "its key"), record = readMember(value);
        if (record.mac && tryParseMac(record.mac) !== mac) {
          throw new Error(`mac: not that of its key (${record.mac})`);
        }
        return { kind: "member", id: mac, value: record };
      }
      case "claim-ip":
        return { kind, id: address4(id), mac: holderOf(value) };
      case "claim-ip6":
      case "claim-name":
        return { kind, id, mac: holderOf(value) };
      case "member-of": {
        const [network, mac] = nexPair(id, value);
        return { kind, network, mac };
      }
      case "newer-name": {
        const [name, mac] = nexPair(id, value);
        return { kind, name, mac };
      }
      case "further-member": {
        const [network, mac] = ownPair(id);
        return { kind, network, mac, value: { ...readMember(value), net: network } };
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
        return { kind, id: address4(id), value: readRecord(withheld, value) };
      case "former":
        return { kind, id: address4(id), value: readRecord(former, value) };
    }
  },
};

/**
 * True for a key in the form that is written here, even if its value cannot be read: claim keys alone say which
 * addresses are taken.
 */
export function isOwnKey(key: string): boolean {
  const found = readKey(key);
  switch (found?.kind) {
    case undefined:
    case "newer-member":
    case "newer-name":
      return false;
    case "member":
      return tryParseMac(found.id) === found.id;
    case "claim-ip":
      return Ip.familyOf(found.id) === 4;
    default:
      return true;
  }
}

function readMember(value: string): MemberRecord {
  return readRecord(tolerant.member, value, exact.member);
}

function macOf(text: string, what: string): string {
  const mac = tryParseMac(text);
  if (mac === undefined) throw new Error(`${what}: no MAC address, like 00:00:11:11:00:01 (${text})`);
  return mac;
}

function address4(id: string): string {
  if (Ip.familyOf(id) !== 4) throw new Error("its key: no IPv4 address, like 10.0.0.1");
  return id;
}

/** Reads a claim's MAC: Nex's daemons wrote it raw, one set of tools wrote it quoted. */
function holderOf(value: string): string {
  // Nearly all are raw and in stored form.
  return tryParseMac(value) ?? macOf(value.trim().replace(/^"|"$/g, ""), "value");
}

/** Reads the end of one of Nex's keys, NAME/MAC; the value repeats the MAC. */
function nexPair(id: string, value: string): [string, string] {
  const [name, text] = pairOf(id), mac = macOf(text, "its key");
  if (value !== mac && holderOf(value) !== mac) {
    throw new Error(`value: not the MAC address of its key (${value})`);
  }
  return [name, mac];
}

/** True when a field of the stored JSON is spelled differently in the record. */
function isRespelled(text: string, record: object): boolean {
  return Object.keys(JSON.parse(text)).some((name) => !Object.hasOwn(record, name));
}

function pairOf(id: string): [string, string] {
  const slash = id.lastIndexOf("/");
  return [id.slice(0, slash), id.slice(slash + 1)];
}

/** Reads the end of one of our keys, which have one spelling only. */
function ownPair(id: string): [string, string] {
  const pair = pairOf(id);
  if (pair[0] === "" || tryParseMac(pair[1]) !== pair[1]) {
    throw new Error(`the key does not end in /NAME/MAC, with a MAC address like 00:00:11:11:00:01`);
  }
  return pair;
}

/** The {@link Schema} by which a mirror of its own follows the clocks of processes. */
export const clockSchema: Schema<ClockRecord> = {
  prefixes: [clocksPrefix],
  parse: (key, value) => ({ id: key.slice(clocksPrefix.length), value: readRecord(clock, value) }),
};

/** Encodes a record, omitting empty fields as Nex's daemons do. */
export function writeRecord(
  value: NexNetworkRecord | MemberRecord | DeletedNetworkRecord | WithheldRecord | FormerRecord | ClockValue,
): string {
  return JSON.stringify(
    value,
    (_, v) => v === "" || v === false || (Array.isArray(v) && v.length === 0) ? undefined : v,
  );
}
