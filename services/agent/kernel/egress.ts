/**
 * The nf_tables rules in a network's namespace for packets to the world and back over the network's uplink. They are
 * the same in every network, since the kernel finds the uplink's address. The host's own part is in host_egress.ts.
 */
import {
  commit,
  deleteTable,
  hasChain,
  hasRules,
  type Hook,
  isUnsupported,
  newChain,
  newCounter,
  newRule,
  newTable,
  type NftTable,
} from "../../../ffi/netlink_nftables.ts";
import {
  clampSegments,
  end,
  ESTABLISHED,
  isEqual,
  isOther,
  loadConnectionState,
  loadConnectionStatus,
  loadMeta,
  loadPayload,
  masked,
  masquerade,
  META_INTERFACE,
  META_OUTGOING,
  META_TRANSPORT,
  REDIRECTED,
  RELATED,
  type Rule,
  TRANSPORT_HEADER,
} from "../../../ffi/nftables_expressions.ts";
import type { Netlink, Request } from "../../../ffi/netlink.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { type EgressRules, UPLINK } from "../../overlay/state.ts";
import { BEYOND_LIMIT, type ConnectionLimits, limitRules, limitSets } from "./egress_limits.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import type { NftablesSockets } from "./nftables_sockets.ts";

type EgressOp = Extract<KernelOp, { readonly op: `egress-${string}` }>;

/** A chain with its rules; tables that are made of them are compared as a whole. */
export interface Chain {
  readonly name: string;
  readonly hook: Hook;
  readonly rules: readonly Rule[];
}

/** The table's name, in the networks' namespaces and in the host's. */
export const EGRESS_TABLE: NftTable = { family: "inet", name: "strand_egress" };

/** Goes on where the packet came by, or leaves by, an interface of that name, or whose name begins so. */
export const cameBy = (
  name: string,
  whole = true,
): Rule => [loadMeta(META_INTERFACE), isEqual(...named(name, whole))];
/** Matches packets that leave by an interface. @param whole False: `name` is the beginning of the interface's name. */
export const leavesBy = (
  name: string,
  whole = true,
): Rule => [loadMeta(META_OUTGOING), isEqual(...named(name, whole))];

/** An interface's name as rules compare it; one that is not whole matches every name that begins with it. */
export function named(name: string, whole: boolean): Uint8Array {
  const octets = new Uint8Array(whole ? 16 : name.length);
  octets.set(new TextEncoder().encode(name));
  return octets;
}

/** Goes on where the packet belongs to a connection that has begun already. */
export const isAnswer: Rule = [
  loadConnectionState(),
  masked(ESTABLISHED | RELATED, 0, 0, 0),
  isOther(0, 0, 0, 0),
];
/** Goes on where the kernel finds no connection that the packet could belong to, and so would not give it another source. */
export const isOfNone: Rule = [loadConnectionState(), masked(1, 0, 0, 0), isOther(0, 0, 0, 0)];
/** Goes on where no rule has sent the connection to another destination, as CNI's portmap does. */
export const isNotRedirected: Rule = [
  loadConnectionStatus(),
  masked(REDIRECTED, 0, 0, 0),
  isEqual(0, 0, 0, 0),
];
/** Has connections use segments that fit the way on, also where what says that a packet was too large is lost. */
export const clamp: Rule = [
  loadMeta(META_TRANSPORT),
  isEqual(6),
  loadPayload(TRANSPORT_HEADER, 13, 1),
  masked(0x06),
  isEqual(0x02),
  ...clampSegments(),
];

const ACCEPT = end("accept"), DROP = end("drop");
const FROM_HOST = cameBy(UPLINK), TO_HOST = leavesBy(UPLINK);

type Made = Exclude<EgressRules, "edited">;

/** @param limits Undefined: the kernel cannot count connections. */
function chainsFor(rules: Made, limits: ConnectionLimits | undefined): Chain[] {
  return [
    {
      name: "input",
      hook: { at: "input", priority: 0 },
      rules: [[...FROM_HOST, ...isAnswer, ACCEPT], [...FROM_HOST, DROP]],
    },
    {
      name: "forward",
      hook: { at: "forward", priority: 0 },
      rules: [
        clamp,
        [...TO_HOST, ...isOfNone, DROP],
        ...limits ? limitRules(TO_HOST, limits) : [],
        [...FROM_HOST, ...isAnswer, ACCEPT],
        ...rules === "closed" ? [[...FROM_HOST, DROP]] : [],
      ],
    },
    {
      name: "postrouting",
      hook: { at: "postrouting", priority: 100, type: "nat" },
      rules: [[...TO_HOST, masquerade()]],
    },
  ];
}

/**
 * The requests that create a table. @param replaces True: an existing one is replaced. @param counters Its rules' counters.
 * @param sets The requests for its rules' sets.
 */
export function tableOf(
  chains: readonly Chain[],
  replaces: boolean,
  counters: readonly string[] = [],
  sets: readonly Request[] = [],
): Request[] {
  return [
    ...replaces ? [deleteTable(EGRESS_TABLE)] : [],
    newTable(EGRESS_TABLE),
    ...counters.map((name) => newCounter(EGRESS_TABLE, name)),
    ...sets,
    ...chains.flatMap(({ name, hook, rules }) => [
      newChain(EGRESS_TABLE, name, hook),
      ...rules.map((rule) => newRule(EGRESS_TABLE, name, rule)),
    ]),
  ];
}

/** Tests whether the table consists of these chains; undefined: there is no table. */
export async function isTableOf(netlink: Netlink, chains: readonly Chain[]): Promise<boolean | undefined> {
  for (const { name, hook, rules } of chains) {
    const there = await hasChain(netlink, EGRESS_TABLE, name, hook);
    if (!there) return there;
    if (!await hasRules(netlink, EGRESS_TABLE, name, rules)) return false;
  }
  return true;
}

const UNLIMITED = { closed: chainsFor("closed", undefined), routed: chainsFor("routed", undefined) } as const;

/** The tables in the networks' namespaces. */
export class EgressTables {
  /** Why connections are not limited; undefined: they are, as far as is known. */
  unlimited: string | undefined;
  readonly #limited: Readonly<Record<Made, readonly Chain[]>>;

  /** @param onUnlimited Called once, when the kernel turns out to count no connections. */
  constructor(
    private readonly sockets: NftablesSockets,
    limits: ConnectionLimits,
    private readonly onUnlimited: (reason: string) => void = () => {},
  ) {
    this.#limited = { closed: chainsFor("closed", limits), routed: chainsFor("routed", limits) };
  }

  get #chains(): Readonly<Record<Made, readonly Chain[]>> {
    return this.unlimited === undefined ? this.#limited : UNLIMITED;
  }

  /** The rules of a network's namespace; undefined: there is no such table. */
  async read(namespace: NetworkNamespace): Promise<EgressRules | undefined> {
    try {
      return await this.sockets.use(namespace, false, async (netlink) => {
        const { closed, routed } = this.#chains, isClosed = await isTableOf(netlink, closed);
        if (isClosed === undefined) return undefined;
        return isClosed ? "closed" : await isTableOf(netlink, routed) ? "routed" : "edited";
      });
    } catch (error) {
      if (isUnsupported(error)) return undefined;
      throw error;
    }
  }

  async carryOut(namespace: NetworkNamespace, op: EgressOp): Promise<void> {
    const removes = op.op === "egress-remove" || op.replaces;
    const carryOut = (requests: readonly Request[]) =>
      this.sockets.use(namespace, removes, (netlink) => commit(netlink, requests));
    if (op.op === "egress-remove") return await carryOut([deleteTable(EGRESS_TABLE)]);
    const make = () => {
      const isLimited = this.unlimited === undefined;
      const counters = isLimited ? [BEYOND_LIMIT] : [], sets = isLimited ? limitSets(EGRESS_TABLE) : [];
      return carryOut(tableOf(this.#chains[op.rules], op.replaces, counters, sets));
    };
    try {
      await make();
    } catch (error) {
      if (!isUnsupported(error) || this.unlimited !== undefined) throw error;
      this.unlimited = error.message;
      try {
        await make();
      } catch (other) {
        // It lacks more than that.
        this.unlimited = undefined;
        throw other;
      }
      this.onUnlimited(error.message);
    }
  }
}
