/**
 * The nf_tables rules by which VXLAN is accepted only from the hosts of its network. They are in the host's own
 * namespace, where the UDP sockets of all vxlan devices are; in a network's namespace the outer source address is
 * gone.
 */
import { ENOENT, SystemError } from "../../../ffi/errno.ts";
import type { Netlink, Request } from "../../../ffi/netlink.ts";
import {
  addKeys,
  commit,
  deleteTable,
  hasChain,
  hasRules,
  hasTable,
  type Hook,
  isUnsupported,
  listKeys,
  newChain,
  newCounter,
  newRule,
  newSet,
  newTable,
  type NftTable,
  openNftables,
  removeKeys,
} from "../../../ffi/netlink_nftables.ts";
import { readCounters } from "../../../ffi/nftables_counters.ts";
import {
  countIn,
  end,
  FIRST,
  FIRST_4,
  isAstray,
  isEqual,
  isIn,
  isOther,
  loadMeta,
  loadPayload,
  META_INTERFACE,
  META_OUTGOING,
  META_PRIORITY,
  META_TRANSPORT,
  META_USER,
  NETWORK_HEADER,
  type Rule,
  setMeta,
  TRANSPORT_HEADER,
} from "../../../ffi/nftables_expressions.ts";
import {
  HOST_ORDER,
  NETWORK_ORDER,
  sourceAddress,
  transportBits,
  typeOf,
} from "../../../ffi/nftables_userdata.ts";
import { NftablesWatch } from "../../../ffi/nftables_watch.ts";
import { u32 } from "../../../ffi/netlink_message.ts";
import { home } from "../../../ffi/netns.ts";
import { Ip } from "../../common/ip.ts";
import { named } from "./egress.ts";
import { type Verdict, VERDICTS } from "./traffic_counts.ts";

/**
 * The priority of packets that leave by vxlan0, which the table of a network's namespace gives them (containment.ts). A process
 * without rights can set none above 6 (socket(7)). Queues read the four lowest bits, which are 0 here, as in a packet without a
 * priority.
 */
export const ENCAPSULATED = 0x53740000;
/** The priority of packets to a VXLAN port that this host forwards. */
const FORWARDED = 0x53740010;

const NFPROTO_IPV4 = 2, TABLE: NftTable = { family: "ip", name: "strand" };
const HOOKS = {
  input: { at: "input", priority: -300 },
  output: { at: "output", priority: -300 },
  forward: { at: "forward", priority: -300 },
  // After others have given a packet this host's own address as its source, at 100.
  postrouting: { at: "postrouting", priority: 200 },
} as const satisfies Record<string, Hook>;
type Chain = keyof typeof HOOKS;
const CHAINS = Object.keys(HOOKS) as Chain[];

const VNI = transportBits(96, 24);
/** By the first word of an element: see services/overlay/vteps.ts. The types are nft(8)'s integer, ipv4_addr and inet_service. */
const SETS = {
  port: { name: "ports", types: [13], length: 2, shown: NETWORK_ORDER },
  drop: { name: "contained", types: [4], length: 3, shown: typeOf(VNI) },
  count: { name: "counted", types: [4], length: 3, shown: typeOf(VNI) },
  host: { name: "hosts", types: [7], length: 4, shown: NETWORK_ORDER },
  interface: { name: "underlay", types: [41], length: 16, shown: HOST_ORDER },
  vtep: { name: "vteps", types: [4, 7], length: 8, shown: typeOf(VNI, sourceAddress()) },
} as const;
type SetKey = keyof typeof SETS;
const SET_KEYS = Object.keys(SETS) as SetKey[];

/** Why VXLAN is refused, each with counters in the table for what was dropped and what was only counted. */
export const REASONS = ["unknown-host", "spoofed", "hidden", "unprivileged", "forwarded"] as const;
export type Reason = typeof REASONS[number];
export type RefusedVxlan = `${Verdict} ${Reason}`;
const counterOf = (verdict: Verdict, reason: Reason) => `${reason}-${verdict}`;

/** The settings, beside the sets, on which the rules depend. */
export interface VtepRules {
  /** This host's own. */
  readonly vtep: Ip;
  /** The name of the interface that has it. */
  readonly underlay: string;
  /** True when a network drops frames of unknown hosts; false: everything is only counted. */
  readonly drops: boolean;
  /** True when packets of networks are told from those of processes by {@link ENCAPSULATED}. */
  readonly areTold: boolean;
}

/** @param hasRoutes False: the kernel looks up no routes in rules (nft_fib), or not at these hooks, as older ones. */
function rulesFor(settings: VtepRules, hasRoutes: boolean): Record<Chain, readonly Rule[]> {
  const { vtep, underlay, drops, areTold } = settings;
  const pass = end("accept"), verdict = drops ? "dropped" : "counted";
  const refused = (reason: Reason, its: Verdict = verdict) =>
    [countIn(counterOf(its, reason)), end(its === "dropped" ? "drop" : "accept")] as const;
  const port = loadPayload(TRANSPORT_HEADER, 2, 2), vni = loadPayload(TRANSPORT_HEADER, 12, 3);
  const isVxlan = [loadMeta(META_TRANSPORT), isEqual(17), port, isIn(SETS.port.name)];
  const others: Rule[] = [[loadMeta(META_TRANSPORT), isOther(17), pass], [
    port,
    isIn(SETS.port.name, false),
    pass,
  ]];
  const source = (register = FIRST) => loadPayload(NETWORK_HEADER, 12, 4, register);
  // What other hosts send comes by an interface that leads to them, what containers behind this host send does not. Several may
  // lead there while the kernel's routes use one: see interfacesTowards().
  const isElsewhere = [loadMeta(META_INTERFACE), isIn(SETS.interface.name, false)];
  const astray = hasRoutes ? isAstray() : [];
  return {
    input: [
      ...others,
      [source(), isIn(SETS.host.name), ...isElsewhere, ...astray, ...refused("spoofed")],
      [vni, source(FIRST_4), isIn(SETS.vtep.name), pass],
      [vni, isIn(SETS.drop.name), ...refused("unknown-host", "dropped")],
      [vni, isIn(SETS.count.name), ...refused("unknown-host", "counted")],
      // Another program's VXLAN passes. But a process behind a virtual interface may send packets that are cut apart only after
      // these rules (UDP_SEGMENT, udp(7)), of which they see the first VNI alone. Such a packet has a checksum.
      [
        ...[loadMeta(META_INTERFACE), isOther(...named(underlay, true))],
        ...[loadPayload(TRANSPORT_HEADER, 6, 2), isOther(0, 0)],
        ...[source(), isIn(SETS.host.name, false)],
        ...refused("hidden"),
      ],
    ],
    output: [
      ...others,
      [loadMeta(META_PRIORITY), isEqual(...u32(ENCAPSULATED)), pass],
      // The kernel's own packets have no user, and those of a container's sockets none of this namespace.
      ...areTold ? [[loadMeta(META_USER), isOther(0, 0, 0, 0), ...refused("unprivileged")]] : [],
    ],
    forward: [
      // Of other hosts' addresses, those of networks that are not here are not known. A bridge's own frames, which pass here where
      // br_netfilter is on, leave by no interface of the underlay.
      [
        ...isVxlan,
        ...isElsewhere,
        ...[loadMeta(META_OUTGOING), isIn(SETS.interface.name)],
        ...hasRoutes ? astray : [source(), isIn(SETS.host.name)],
        ...refused("spoofed"),
      ],
      [...isVxlan, ...setMeta(META_PRIORITY, FORWARDED)],
    ],
    postrouting: [[
      ...[loadMeta(META_PRIORITY), isEqual(...u32(FORWARDED))],
      ...isVxlan,
      ...[source(), isEqual(...vtep.bytes)],
      ...refused("forwarded"),
    ]],
  };
}

/** The table as the kernel has it. */
export interface VtepState {
  /** False where the rules are others, so that the table is to be made again. */
  readonly isSound: boolean;
  readonly elements: ReadonlySet<string>;
}

/** The table of this host. */
export class VtepTable {
  /** Why this kernel can have none; undefined while nothing says so. */
  missing: string | undefined;
  /** True when this kernel was found to look up no routes in rules. */
  lacksRoutes = false;
  /** It stays open, since closing one after a removal takes tens of milliseconds: see nftables_sockets.ts. */
  #netlink: Netlink | undefined;
  #watch: NftablesWatch | undefined;

  /** Undefined: there is none. @throws SystemError */
  read(rules: VtepRules): Promise<VtepState | undefined> {
    return this.#use(async (netlink) => {
      const wanted = rulesFor(rules, !this.lacksRoutes);
      for (const chain of CHAINS) {
        const there = await hasChain(netlink, TABLE, chain, HOOKS[chain]);
        if (there === undefined) return undefined;
        if (!there || !await hasRules(netlink, TABLE, chain, wanted[chain])) return UNSOUND;
      }
      const elements = new Set<string>();
      for (const set of SET_KEYS) {
        for (const key of await listKeys(netlink, TABLE, SETS[set].name)) elements.add(elementOf(set, key));
      }
      return { isSound: true, elements };
    });
  }

  /** Makes the table, in the place of one that is there. */
  async make(rules: VtepRules, elements: Iterable<string>, replaces: boolean): Promise<void> {
    const all = [...elements];
    if (this.missing !== undefined) return;
    if (!this.lacksRoutes) {
      try {
        await this.#make(rulesFor(rules, true), all, replaces);
        if (this.missing === undefined) return;
      } catch (error) {
        if (!isUnsupported(error)) throw error;
      }
      // The batch was refused whole: what there was is still there.
      this.missing = undefined;
    }
    await this.#make(rulesFor(rules, false), all, replaces);
    this.lacksRoutes = this.missing === undefined;
  }

  async #make(wanted: ReturnType<typeof rulesFor>, all: readonly string[], replaces: boolean): Promise<void> {
    await this.#use((netlink) =>
      commit(netlink, [
        ...replaces ? [deleteTable(TABLE)] : [],
        newTable(TABLE),
        ...REASONS.flatMap((reason) =>
          VERDICTS.map((verdict) => newCounter(TABLE, counterOf(verdict, reason)))
        ),
        ...SET_KEYS.map((set, i) => {
          const { name, types, length, shown } = SETS[set];
          return newSet(TABLE, name, types, length, i + 1, shown);
        }),
        ...CHAINS.flatMap((chain) => [
          newChain(TABLE, chain, HOOKS[chain]),
          ...wanted[chain].map((rule) => newRule(TABLE, chain, rule)),
        ]),
        ...elementRequests(addKeys, all),
      ]), !replaces);
  }

  /** Changes the sets. @throws SystemError with ENOENT where the table or an element that is to be removed is not there */
  async change(add: Iterable<string>, remove: Iterable<string>): Promise<void> {
    const requests = [...elementRequests(removeKeys, [...remove]), ...elementRequests(addKeys, [...add])];
    await this.#use((netlink) => commit(netlink, requests));
  }

  async remove(): Promise<void> {
    await this.#use((netlink) => commit(netlink, [deleteTable(TABLE)]));
  }

  /** Tests whether VXLAN with a VNI from a VTEP passes the kernel's rules; undefined: there are none. */
  admits(vni: number, vtep: string): Promise<boolean | undefined> {
    return this.#use(async (netlink) => {
      if (!await hasTable(netlink, TABLE)) return undefined;
      const has = async (set: SetKey, element: string) =>
        (await listKeys(netlink, TABLE, SETS[set].name)).some((key) => elementOf(set, key) === element);
      return await has("vtep", `vtep ${vni} ${vtep}`) || !await has("drop", `drop ${vni}`);
    });
  }

  /** How many packets have been refused since the table was made. */
  async counted(): Promise<Map<RefusedVxlan, number>> {
    const counters = await this.#use((netlink) => readCounters(netlink, TABLE));
    return new Map(
      REASONS.flatMap((reason) =>
        VERDICTS.map((verdict) =>
          [`${verdict} ${reason}`, counters?.get(counterOf(verdict, reason)) ?? 0] as const
        )
      ),
    );
  }

  /** The descriptor of a socket that the kernel tells of changes; undefined where it has no such tables. @throws SystemError */
  watch(): number | undefined {
    if (this.missing !== undefined) return undefined;
    return (this.#watch ??= new NftablesWatch(home)).fd;
  }

  /** True when another program has changed the table since the last call, or may have; once {@link watch} was called. */
  isForeign(): boolean {
    return this.#watch !== undefined &&
      this.#watch.changed(NFPROTO_IPV4, TABLE.name, this.#netlink?.portId ?? 0);
  }

  close(): void {
    this.#netlink?.close();
    this.#watch?.[Symbol.dispose]();
    this.#netlink = this.#watch = undefined;
  }

  /** @param isFirst True: the work creates the table, and an object that is not found is a feature that the kernel lacks. */
  async #use<T>(work: (netlink: Netlink) => Promise<T>, isFirst = false): Promise<T | undefined> {
    if (this.missing !== undefined) return undefined;
    try {
      return await work(this.#netlink ??= openNftables(home));
    } catch (error) {
      if (!isUnsupported(error) || (error.errno === ENOENT && !isFirst)) throw error;
      this.missing = error.message;
      return undefined;
    }
  }
}

const UNSOUND: VtepState = { isSound: false, elements: new Set() };

/** True for the error of {@link VtepTable.change} where something is not there. */
export function isNotThere(error: unknown): boolean {
  return error instanceof SystemError && error.errno === ENOENT;
}

function elementRequests(
  make: (table: NftTable, set: string, keys: readonly Uint8Array[]) => Request[],
  elements: readonly string[],
): Request[] {
  return SET_KEYS.flatMap((set) => {
    const keys = elements.filter((element) => element.startsWith(`${set} `)).map((element) =>
      keyOf(set, element)
    );
    return make(TABLE, SETS[set].name, keys);
  });
}

function keyOf(set: SetKey, element: string): Uint8Array {
  const [, first = "", second = ""] = element.split(" ");
  if (set === "host") return Ip.parse(first).bytes;
  if (set === "interface") return named(first, true);
  const key = new Uint8Array(SETS[set].length), value = Number(first);
  if (set === "port") key.set([value >> 8, value]);
  else key.set([value >> 16, value >> 8, value]);
  if (set === "vtep") key.set(Ip.parse(second).bytes, 4);
  return key;
}

function elementOf(set: SetKey, key: Uint8Array): string {
  const [a = 0, b = 0, c = 0] = key;
  if (set === "interface") return `interface ${new TextDecoder().decode(key).split("\0")[0]}`;
  if (set === "port") return `port ${a << 8 | b}`;
  if (set === "host") return `host ${new Ip(4, key)}`;
  const vni = a << 16 | b << 8 | c;
  return set === "vtep" ? `vtep ${vni} ${new Ip(4, key.slice(4, 8))}` : `${set} ${vni}`;
}
