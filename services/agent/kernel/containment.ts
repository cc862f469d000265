/**
 * The nf_tables rules (bridge family) in a network's namespace that check the source of frames from ports: see
 * services/overlay/containment.ts. The rules are the same in every network; the MACs and addresses of each port are
 * in sets.
 */
import { ENOENT } from "../../../ffi/errno.ts";
import {
  addKeys,
  commit,
  deleteTable,
  hasChain,
  hasRules,
  type Hook,
  isUnsupported,
  listKeys,
  newChain,
  newCounter,
  newRule,
  newSet,
  newTable,
  type NftTable,
  removeKeys,
} from "../../../ffi/netlink_nftables.ts";
import {
  countIn,
  end,
  FIRST,
  isEqual,
  isIn,
  isOther,
  LINK_HEADER,
  loadMeta,
  loadPayload,
  META_INTERFACE,
  META_OUTGOING,
  META_PRIORITY,
  NETWORK_HEADER,
  type Rule,
  SECOND,
  SECOND_8,
  setMeta,
  TRANSPORT_HEADER,
} from "../../../ffi/nftables_expressions.ts";
import type { Netlink, Request } from "../../../ffi/netlink.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import { Ip } from "../../common/ip.ts";
import { macFromBytes, macToBytes } from "../../common/mac.ts";
import type { Rules } from "../../overlay/containment.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import type { ContainmentState } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import type { NftablesSockets } from "./nftables_sockets.ts";
import {
  ADVERTISEMENT,
  ARP,
  ARRIVING_RULES,
  HIDING,
  IPV4,
  IPV6,
  NO_UDP,
  to,
  UDP,
  VXLAN_NAME,
} from "./frame_rules.ts";
import { ENCAPSULATED } from "./vtep_table.ts";

/**
 * Has links of a namespace take no router advertisements, so that none of what a container sends becomes a route or an address of
 * the host's ends. @param links Their names; `default` stands for those that will be made.
 */
export function refuseAdvertisements(namespace: number, ...links: string[]): void {
  inNamespace(namespace, () => {
    for (const link of links) setSysctl(`net/ipv6/conf/${link}/accept_ra`, "0");
  });
}

export type ContainmentOp = Extract<KernelOp, { readonly op: `containment-${string}` }>;

const TABLE: NftTable = { family: "bridge", name: "strand" }, CHAIN = "prerouting";
const HOOK: Hook = { at: "prerouting", priority: -300 };
/** The chain that says of what leaves by vxlan0 that the kernel sends it: see {@link ENCAPSULATED}. */
const LEAVING = "postrouting", LEAVING_HOOK: Hook = { at: "postrouting", priority: 0 };
const LEAVING_RULES: readonly Rule[] = [[
  loadMeta(META_OUTGOING),
  isEqual(...VXLAN_NAME),
  ...setMeta(META_PRIORITY, ENCAPSULATED),
]];
/** The chain for what comes in by vxlan0. A frame that it accepts goes on to {@link CHAIN}. */
const ARRIVING = "arriving", ARRIVING_HOOK: Hook = { at: "prerouting", priority: -301 };
const PORTS = "ports", DEVICES = "host-devices", UNCHECKED = "unchecked-ports";
const MACS = "macs", ADDRESSES = "addresses";
/** The sets with nft(8)'s numbers of the types ifname, ether_addr and ipv4_addr. */
const SETS = [
  { name: PORTS, types: [41], length: 16 },
  { name: DEVICES, types: [41], length: 16 },
  { name: UNCHECKED, types: [41], length: 16 },
  { name: MACS, types: [41, 9], length: 24 },
  { name: ADDRESSES, types: [41, 9, 7], length: 28 },
] as const;

/** The kinds of frames that are counted, each in a counter of that name in the table. */
export const FOREIGN_KINDS = [
  "unknown-port",
  "mac",
  "unleased",
  "arp",
  "ipv4",
  "dhcp-server",
  "router-advertisement",
  "encapsulated",
] as const;
export type ForeignKind = typeof FOREIGN_KINDS[number];
/** nft(8) takes no names that are words of its language. */
const counterOf = (kind: ForeignKind) => `${kind}-spoofed`;
const COUNTERS = FOREIGN_KINDS.map(counterOf);

const PORT = loadMeta(META_INTERFACE, FIRST);
const source = (header: number, offset: number, length: number) => [
  PORT,
  loadPayload(header, offset, length, SECOND),
];
const none = (header: number, offset: number) => [loadPayload(header, offset, 4), isEqual(0, 0, 0, 0)];
/** A packet from a DHCP client that has no address yet (RFC 2131 §4.1). */
const CLIENT = [
  ...IPV4,
  ...none(NETWORK_HEADER, 12),
  ...UDP,
  loadPayload(TRANSPORT_HEADER, 0, 4),
  isEqual(0, 68, 0, 67),
];

/** The chain's rules. A frame that is not dropped passes, and is counted once. */
function rulesFor(rules: Rules): Rule[] {
  if (rules === "none") return [];
  const verdict = end(rules === "drop" ? "drop" : "accept");
  const refused = (kind: ForeignKind) => [countIn(counterOf(kind)), verdict];
  const pass = end("accept"), unknown = [...source(LINK_HEADER, 6, 6), isIn(MACS, false)];
  const isOwnAddress = [
    ...source(LINK_HEADER, 6, 6),
    loadPayload(NETWORK_HEADER, 12, 4, SECOND_8),
    isIn(ADDRESSES),
  ];
  return [
    [loadMeta(META_INTERFACE), isEqual(...VXLAN_NAME), pass],
    // Another program has put it into the bridge: what may be sent there is not known.
    [PORT, isIn(PORTS, false), ...refused("unknown-port")],
    // Nearly all packets end with one of these two: their MAC is not looked up for each of the rules below.
    [...IPV4, ...NO_UDP, ...isOwnAddress, pass],
    [
      ...IPV4,
      ...UDP,
      loadPayload(TRANSPORT_HEADER, 0, 2),
      isOther(0, 67),
      loadPayload(TRANSPORT_HEADER, 2, 2),
      isOther(0, 67),
      isOther(0, 68),
      ...isOwnAddress,
      pass,
    ],
    [PORT, isIn(UNCHECKED), pass],
    // Its message is at gatewayd's packet socket by now, and the bridge must not learn a MAC from it that may be another machine's.
    [...unknown, ...CLIENT, verdict],
    [...unknown, PORT, isIn(DEVICES), ...refused("unleased")],
    [...unknown, ...refused("mac")],
    [...IPV4, ...UDP, loadPayload(TRANSPORT_HEADER, 0, 2), isEqual(0, 67), ...refused("dhcp-server")],
    // A client takes an answer from whatever port it was sent.
    [...IPV4, ...to(68), ...refused("dhcp-server")],
    [...IPV6, ...to(546), ...refused("dhcp-server")],
    // What a client says is at gatewayd's packet socket by now, and no other machine needs to hear it.
    [...IPV4, ...to(67), ...isOwnAddress, verdict],
    // A fragment, whose ports are in another one.
    [...IPV4, ...isOwnAddress, pass],
    [...CLIENT, verdict],
    [...IPV4, ...refused("ipv4")],
    ...HIDING.map((rule) => [...rule, ...refused("encapsulated")]),
    [...ARP, ...source(NETWORK_HEADER, 8, 6), isIn(MACS, false), ...refused("arp")],
    [
      ...ARP,
      ...source(NETWORK_HEADER, 8, 6),
      loadPayload(NETWORK_HEADER, 14, 4, SECOND_8),
      isIn(ADDRESSES),
      pass,
    ],
    // A probe, whether another machine has the address (RFC 5227 §1.1).
    [...ARP, ...none(NETWORK_HEADER, 14), pass],
    [...ARP, ...refused("arp")],
    [...ADVERTISEMENT, ...refused("router-advertisement")],
  ];
}

const arrivingRules = (rules: Rules) => rules === "count" ? [] : ARRIVING_RULES;

const RULES = {
  drop: rulesFor("drop"),
  served: rulesFor("served"),
  count: rulesFor("count"),
  none: rulesFor("none"),
} as const;
const NAMES = Object.keys(RULES) as Rules[];

/** The containment of all networks of this host. */
export class Containment {
  /** Why this kernel can have none; undefined while nothing says so. */
  missing: string | undefined;

  /** @param onMissing Called once, when the kernel turns out to have no nf_tables for bridges. */
  constructor(
    private readonly sockets: NftablesSockets,
    private readonly onMissing: (reason: string) => void = () => {},
  ) {}

  /** The table of a network's namespace; undefined: there is none. */
  read(namespace: NetworkNamespace): Promise<ContainmentState | undefined> {
    return this.#ifSupported(namespace, async (netlink) => {
      const there = await hasChain(netlink, TABLE, CHAIN, HOOK);
      if (there === undefined) return undefined;
      const rules = there ? await rulesOf(netlink) : "edited";
      const own = new Set<string>();
      if (rules === "edited") return { rules, own };
      for (const { name } of SETS) {
        for (const key of await listKeys(netlink, TABLE, name)) own.add(elementOf(name, key));
      }
      // An element of another form could not be removed by itself.
      if ([...own].some((element) => !/^[^\s/]+(?: [\w:]+(?: [\d.]+)?)?$/.test(element))) {
        return { rules: "edited", own: new Set() };
      }
      return { rules, own };
    });
  }

  async carryOut(namespace: NetworkNamespace, op: ContainmentOp): Promise<void> {
    const isFirst = op.op === "containment-add" && !op.replaces;
    const removes = !isFirst && op.op !== "containment-set";
    await this.#ifSupported(namespace, (netlink) => commit(netlink, requestsFor(op)), { isFirst, removes });
  }

  /** The counted frames by kind; none where there is no such table. @param read Reads a table's counters. @throws SystemError */
  counted(read: (table: NftTable) => ReadonlyMap<string, number>): Map<ForeignKind, number> {
    const counters = this.#counters(read);
    return new Map(FOREIGN_KINDS.map((kind, i) => [kind, counters?.get(COUNTERS[i] ?? "") ?? 0]));
  }

  #counters(read: (table: NftTable) => ReadonlyMap<string, number>): ReadonlyMap<string, number> | undefined {
    if (this.missing !== undefined) return undefined;
    try {
      return read(TABLE);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      return undefined;
    }
  }

  /** @param isFirst The work makes the first rules: what it does not find then is what the kernel lacks. */
  async #ifSupported<T>(
    namespace: NetworkNamespace,
    work: (netlink: Netlink) => Promise<T>,
    { isFirst = false, removes = false } = {},
  ): Promise<T | undefined> {
    if (this.missing !== undefined) return undefined;
    try {
      return await this.sockets.use(namespace, removes, work);
    } catch (error) {
      if (!isUnsupported(error) || (error.errno === ENOENT && !isFirst)) throw error;
      if (this.missing === undefined) this.onMissing(this.missing = error.message);
      return undefined;
    }
  }
}

/** The kind of rules that the table's chains have. */
async function rulesOf(netlink: Netlink): Promise<Rules | "edited"> {
  const isLeaving = await hasChain(netlink, TABLE, LEAVING, LEAVING_HOOK);
  if (!isLeaving || !await hasRules(netlink, TABLE, LEAVING, LEAVING_RULES)) return "edited";
  if (!await hasChain(netlink, TABLE, ARRIVING, ARRIVING_HOOK)) return "edited";
  for (const name of NAMES) {
    if (!await hasRules(netlink, TABLE, ARRIVING, arrivingRules(name))) continue;
    if (await hasRules(netlink, TABLE, CHAIN, RULES[name])) return name;
  }
  return "edited";
}

function requestsFor(op: ContainmentOp): Request[] {
  if (op.op === "containment-remove") return [deleteTable(TABLE)];
  if (op.op === "containment-unset") {
    return SETS.flatMap(({ name }) => removeKeys(TABLE, name, keysOf(name, op.remove)));
  }
  const elements = SETS.flatMap(({ name }) => addKeys(TABLE, name, keysOf(name, op.add)));
  if (op.op === "containment-set") return elements;
  return [
    ...op.replaces ? [deleteTable(TABLE)] : [],
    newTable(TABLE),
    ...FOREIGN_KINDS.map((kind) => newCounter(TABLE, counterOf(kind))),
    ...SETS.map(({ name, types, length }, i) => newSet(TABLE, name, types, length, i + 1)),
    newChain(TABLE, CHAIN, HOOK),
    ...RULES[op.rules].map((rule) => newRule(TABLE, CHAIN, rule)),
    newChain(TABLE, ARRIVING, ARRIVING_HOOK),
    ...arrivingRules(op.rules).map((rule) => newRule(TABLE, ARRIVING, rule)),
    newChain(TABLE, LEAVING, LEAVING_HOOK),
    ...LEAVING_RULES.map((rule) => newRule(TABLE, LEAVING, rule)),
    ...elements,
  ];
}

type SetName = typeof SETS[number]["name"];
/** The sets of ports' names whose elements have a word behind the name. */
const NAMED_SETS: Readonly<Record<string, SetName>> = { device: DEVICES, unchecked: UNCHECKED };

/** The keys of one of the sets among elements of all. */
function keysOf(set: SetName, elements: ReadonlySet<string>): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const element of elements) {
    const [port = "", own, address] = element.split(" ");
    const name = new TextEncoder().encode(port);
    if (setOf(own, address) !== set) continue;
    const key = new Uint8Array(SETS.find(({ name }) => name === set)?.length ?? 0);
    key.set(name.subarray(0, 15));
    if (own !== undefined && !(own in NAMED_SETS)) key.set(macToBytes(own), 16);
    if (address !== undefined) key.set(Ip.parse(address).bytes, 24);
    keys.push(key);
  }
  return keys;
}

function setOf(own: string | undefined, address: string | undefined): SetName {
  if (own === undefined) return PORTS;
  return NAMED_SETS[own] ?? (address === undefined ? MACS : ADDRESSES);
}

function elementOf(set: SetName, key: Uint8Array): string {
  const name = key.subarray(0, 16), nul = name.indexOf(0);
  const port = new TextDecoder().decode(nul < 0 ? name : name.subarray(0, nul));
  if (set === PORTS) return port;
  if (set === DEVICES) return `${port} device`;
  if (set === UNCHECKED) return `${port} unchecked`;
  const mac = `${port} ${macFromBytes(key, 16)}`;
  return set === MACS ? mac : `${mac} ${new Ip(4, key.slice(24, 28))}`;
}
