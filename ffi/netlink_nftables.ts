/**
 * Changes and lists tables of nf_tables (nft(8)), by nfnetlink's messages
 * (include/uapi/linux/netfilter/nf_tables.h). Changes are sent as one batch, of which the kernel makes all or none.
 */
import { bytesOf32, concat } from "../services/common/bytes.ts";
import { EAFNOSUPPORT, ENOENT, EOPNOTSUPP, EPROTONOSUPPORT, SystemError } from "./errno.ts";
import { Netlink, NETLINK_NETFILTER, type Request } from "./netlink.ts";
import {
  type Attribute,
  be64,
  encodeMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  readAttributes,
  readList,
  readNested,
  readOctets,
  readText,
  text,
} from "./netlink_message.ts";
import { COUNTER, NF_ACCEPT, type Rule } from "./nftables_expressions.ts";
import { HOST_ORDER } from "./nftables_userdata.ts";

const BATCH_BEGIN = 0x10, BATCH_END = 0x11;
/** The number of nf_tables among nfnetlink's subsystems. */
export const SUBSYSTEM = 10;
const NEWTABLE = 0, GETTABLE = 1, DELTABLE = 2, NEWCHAIN = 3, NEWRULE = 6, NEWSET = 9;
/** Message types that list chains and rules. */
export const GETCHAIN = 4, GETRULE = 7;
const NEWSETELEM = 12, GETSETELEM = 13, DELSETELEM = 14, NEWOBJ = 18;
const NLM_F_APPEND = 0x800;
/** Octets of struct nfgenmsg {u8 family, u8 version, be16 resource}. */
export const NFGENMSG = 4;
const LIST_ELEM = 1, DATA_VALUE = 1, NFT_SET_TIMEOUT = 0x10, NFT_SET_EVAL = 0x20;
/** The most keys of a set of rates. */
const RATES = 4096;
/** The families of tables, with their numbers. */
export const FAMILIES = { inet: 1, ip: 2, bridge: 7 } as const;
/** The places in a packet's way that chains may be at, which all three families number alike. */
export const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export interface NftTable {
  readonly family: keyof typeof FAMILIES;
  readonly name: string;
}

/** A chain that packets pass by themselves; what no rule decides passes. */
export interface Hook {
  readonly at: keyof typeof HOOKS;
  /** The order among chains of several tables at the same hook: the lowest comes first. */
  readonly priority: number;
  /** `nat`: passed by the first packet of each connection alone. Default `filter`. */
  readonly type?: "filter" | "nat";
}

/** Elements in one message, whose list of them may have 64 KiB. */
const ELEMENTS = 1000;

/** A table that is not there yet. */
export function newTable(table: NftTable): Request {
  return request(table, `add table ${table.name}`, NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, [[
    1,
    text(table.name),
  ]]);
}

/** Removes a table that is there, with all in it. */
export function deleteTable(table: NftTable): Request {
  return request(table, `delete table ${table.name}`, DELTABLE, 0, [[1, text(table.name)]]);
}

/** A counter that rules of the table refer to. */
export function newCounter(table: NftTable, name: string): Request {
  const attributes: Attribute[] = [[1, text(table.name)], [2, text(name)], [3, bytesOf32(COUNTER)], [4, []]];
  return request(table, `add counter ${name}`, NEWOBJ, NLM_F_CREATE, attributes);
}

/**
 * A set.
 * @param types The type numbers by which nft(8) shows the parts of a key.
 * @param id Different for each set of a batch.
 * @param shown The data from which nft(8) shows keys: see nftables_userdata.ts.
 */
export function newSet(
  table: NftTable,
  name: string,
  types: readonly number[],
  length: number,
  id: number,
  shown: Uint8Array = HOST_ORDER,
): Request {
  const type = types.reduce((all, type) => all << 6 | type, 0);
  return request(table, `add set ${name}`, NEWSET, NLM_F_CREATE, [
    [1, text(table.name)],
    [2, text(name)],
    [4, bytesOf32(type)],
    [5, bytesOf32(length)],
    [10, bytesOf32(id)],
    [13, shown],
  ]);
}

/**
 * A set of rates by key for `isOver()` of nftables_expressions.ts, which forgets keys that were not seen for a minute.
 * @param id As in {@link newSet}.
 */
export function newRates(table: NftTable, name: string, type: number, length: number, id: number): Request {
  return request(table, `add set ${name}`, NEWSET, NLM_F_CREATE, [
    [1, text(table.name)],
    [2, text(name)],
    [3, bytesOf32(NFT_SET_TIMEOUT | NFT_SET_EVAL)],
    [4, bytesOf32(type)],
    [5, bytesOf32(length)],
    [9, [[1, bytesOf32(RATES)]]],
    [10, bytesOf32(id)],
    [11, be64(60_000)],
    [13, HOST_ORDER],
  ]);
}

/**
 * A set of 32-bit keys for `isCrowding()` of nftables_expressions.ts, which forgets keys without a connection.
 * @param id As in {@link newSet}. @param most Keys of the set.
 */
export function newCrowds(table: NftTable, name: string, type: number, id: number, most: number): Request {
  return request(table, `add set ${name}`, NEWSET, NLM_F_CREATE, [
    [1, text(table.name)],
    [2, text(name)],
    [3, bytesOf32(NFT_SET_EVAL)],
    [4, bytesOf32(type)],
    [5, bytesOf32(4)],
    [9, [[1, bytesOf32(most)]]],
    [10, bytesOf32(id)],
    [13, HOST_ORDER],
  ]);
}

/** A chain at a place in a packet's way: in the family bridge, frames pass `prerouting` before the bridge learns from them. */
export function newChain(table: NftTable, name: string, hook: Hook): Request {
  const type = text(hook.type ?? "filter");
  const attributes = [[1, text(table.name)], [3, text(name)], ...hooked(hook), [7, type]] as const;
  return request(table, `add chain ${name}`, NEWCHAIN, NLM_F_CREATE, attributes);
}

function hooked({ at, priority }: Hook): Attribute[] {
  return [[4, [[1, bytesOf32(HOOKS[at])], [2, bytesOf32(priority)]]], [5, bytesOf32(NF_ACCEPT)]];
}

/** A rule at the chain's end, or at its beginning. */
export function newRule(
  table: NftTable,
  chain: string,
  rule: Rule,
  where: "last" | "first" = "last",
): Request {
  const expressions = rule.map(([name, attributes]) =>
    [LIST_ELEM, [[1, text(name)], [2, attributes]]] as const
  );
  return request(
    table,
    `add a rule to ${chain}`,
    NEWRULE,
    NLM_F_CREATE | (where === "last" ? NLM_F_APPEND : 0),
    [
      [1, text(table.name)],
      [2, text(chain)],
      [4, expressions],
    ],
  );
}

/** Adds keys to a set, which may have them already. */
export function addKeys(table: NftTable, set: string, keys: readonly Uint8Array[]): Request[] {
  return changeKeys("add to", NEWSETELEM, NLM_F_CREATE, table, set, keys);
}

/** Removes keys that the set has. */
export function removeKeys(table: NftTable, set: string, keys: readonly Uint8Array[]): Request[] {
  return changeKeys("remove from", DELSETELEM, 0, table, set, keys);
}

function changeKeys(
  what: string,
  type: number,
  flags: number,
  table: NftTable,
  set: string,
  keys: readonly Uint8Array[],
): Request[] {
  const requests: Request[] = [];
  for (let i = 0; i < keys.length; i += ELEMENTS) {
    const list = keys.slice(i, i + ELEMENTS).map((key) => [LIST_ELEM, [[1, [[DATA_VALUE, key]]]]] as const);
    requests.push(
      request(table, `${what} set ${set}`, type, flags, [[1, text(table.name)], [2, text(set)], [3, list]]),
    );
  }
  return requests;
}

/** Makes all of these changes, or none. @throws SystemError of the first that is refused; see {@link isUnsupported} */
export async function commit(netlink: Netlink, requests: readonly Request[]): Promise<void> {
  if (!requests.length) return;
  const messages = [bound(BATCH_BEGIN), ...requests.map(({ message }) => message), bound(BATCH_END)];
  // The last change is acknowledged: earlier kernels acknowledge no end of a batch.
  const [first] = await netlink.exchange(concat(messages), requests.length + 1);
  if (!first) return;
  const what = requests[first.index - 1]?.what ?? "use nf_tables";
  throw new SystemError(what, first.errno, first.detail);
}

/** A socket for the functions of this file. @throws SystemError */
export function openNftables(namespace: number): Netlink {
  return new Netlink(namespace, NETLINK_NETFILTER);
}

/** True for an error of {@link openNftables}, or of making a table with a chain, on a kernel without nf_tables for bridges. */
export function isUnsupported(error: unknown): error is SystemError {
  if (!(error instanceof SystemError)) return false;
  return [EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT, ENOENT].includes(error.errno);
}

/** True when the table is there and in use; undefined: there is none. */
export function hasTable(netlink: Netlink, table: NftTable): Promise<boolean | undefined> {
  return find(netlink, table, GETTABLE, [[1, text(table.name)]], [[2, bytesOf32(0)]]);
}

/** True when the table is there, in use, with a chain as {@link newChain} makes it. @returns undefined: no such table */
export async function hasChain(
  netlink: Netlink,
  table: NftTable,
  chain: string,
  hook: Hook,
): Promise<boolean | undefined> {
  const isActive = await hasTable(netlink, table);
  if (!isActive) return isActive;
  const named: Attribute[] = [[1, text(table.name)], [3, text(chain)]];
  return await find(netlink, table, GETCHAIN, named, hooked(hook)) ?? false;
}

/** Tests whether an object has these attributes; undefined: there is none. */
async function find(
  netlink: Netlink,
  table: NftTable,
  type: number,
  key: readonly Attribute[],
  wanted: readonly Attribute[],
): Promise<boolean | undefined> {
  let found: boolean | undefined;
  try {
    await netlink.request(request(table, `look into table ${table.name}`, type, 0, key), (view, from, to) => {
      found = hasAll(readAttributes(view, from + NFGENMSG, to), wanted);
    });
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === ENOENT)) throw error;
  }
  return found;
}

/** How the kernel listed a rule when it was last found: in a thousand networks it lists it alike. */
const listed = new WeakMap<Rule, Uint8Array>();

/** True when a chain consists of just these rules. Further attributes that the kernel lists are ignored. */
export async function hasRules(
  netlink: Netlink,
  table: NftTable,
  chain: string,
  rules: readonly Rule[],
): Promise<boolean> {
  const what = `list the rules of ${chain}`;
  const message = encode(table, GETRULE, 0, [[1, text(table.name)], [2, text(chain)]]);
  const make = () => ({ count: 0, isSame: true });
  const { count, isSame } = await netlink.dump(what, message, make, (found, view, from, to) => {
    const rule = rules[found.count++];
    if (!rule || !found.isSame) return void (found.isSame = false);
    const octets = new Uint8Array(view.buffer, view.byteOffset + from + NFGENMSG, to - from - NFGENMSG);
    if (isAlike(octets, listed.get(rule))) return;
    const expressions = readList(readAttributes(view, from + NFGENMSG, to).get(4));
    found.isSame = rule.length === expressions.length && rule.every(([name, attributes], i) => {
      const expression = readNested(expressions[i]);
      return readText(expression.get(1)) === name && hasAll(readNested(expression.get(2)), attributes);
    });
    if (found.isSame) listed.set(rule, octets.slice());
  });
  return isSame && count === rules.length;
}

function isAlike(octets: Uint8Array, known: Uint8Array | undefined): boolean {
  if (known?.length !== octets.length) return false;
  for (let i = 0; i < octets.length; i++) if (octets[i] !== known[i]) return false;
  return true;
}

/** True for attributes that have all of these values. */
export function hasAll(found: ReadonlyMap<number, DataView>, wanted: readonly Attribute[]): boolean {
  return wanted.every(([type, payload]) => {
    const its = found.get(type);
    if (!its) return false;
    if (!(payload instanceof Uint8Array)) return hasAll(readNested(its), payload as readonly Attribute[]);
    return payload.length === its.byteLength && payload.every((octet, i) => octet === its.getUint8(i));
  });
}

/** The keys of a set. @throws SystemError with ENOENT where there is no such set */
export function listKeys(netlink: Netlink, table: NftTable, set: string): Promise<Uint8Array[]> {
  const message = encode(table, GETSETELEM, 0, [[1, text(table.name)], [2, text(set)]]);
  return netlink.dump(`list set ${set}`, message, () => [] as Uint8Array[], (keys, view, from, to) => {
    for (const element of readList(readAttributes(view, from + NFGENMSG, to).get(3))) {
      keys.push(readOctets(readNested(readNested(element).get(1)).get(DATA_VALUE)));
    }
  });
}

function request(
  table: NftTable,
  what: string,
  type: number,
  flags: number,
  attributes: readonly Attribute[],
): Request {
  return { what, message: encode(table, type, flags, attributes) };
}

/** A message about a table. */
export function encode(
  { family }: Pick<NftTable, "family">,
  type: number,
  flags: number,
  attributes: readonly Attribute[],
): Uint8Array<ArrayBuffer> {
  return encodeMessage(SUBSYSTEM << 8 | type, flags, Uint8Array.of(FAMILIES[family], 0, 0, 0), attributes);
}

function bound(type: number): Uint8Array {
  return encodeMessage(type, 0, Uint8Array.of(0, 0, 0, SUBSYSTEM));
}
