/**
 * The nf_tables rules in a network's namespace for broadcast and multicast to other hosts. Each port may send some
 * such frames a second, and DHCP and router advertisements, which concern their own host alone, do not pass vxlan0 at
 * all.
 */
import {
  commit,
  deleteTable,
  hasChain,
  hasRules,
  type Hook,
  isUnsupported,
  newChain,
  newRates,
  newRule,
  newTable,
  type NftTable,
} from "../../../ffi/netlink_nftables.ts";
import {
  end,
  isEqual,
  isOver,
  LINK_HEADER,
  loadMeta,
  loadPayload,
  masked,
  META_INTERFACE,
  META_PROTOCOL,
  META_TRANSPORT,
  type Rule,
  TRANSPORT_HEADER,
} from "../../../ffi/nftables_expressions.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { VXLAN } from "../../overlay/state.ts";
import { cameBy, leavesBy } from "./egress.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import type { NftablesSockets } from "./nftables_sockets.ts";

type BroadcastOp = Extract<KernelOp, { readonly op: `broadcast-${string}` }>;

const TABLE: NftTable = { family: "bridge", name: "strand_broadcast" };
const FORWARD: Hook = { at: "forward", priority: 0 }, OUTPUT: Hook = { at: "output", priority: 0 };
/** The rates of ports; nft(8)'s number of the type ifname. */
const SENDERS = "senders", IFNAME = 41, IFNAME_LENGTH = 16;

const DROP = end("drop");
const TO_HOSTS = leavesBy(VXLAN), FROM_HOSTS = cameBy(VXLAN);
const UDP = [loadMeta(META_TRANSPORT), isEqual(17)];
const TO_ALL = [loadPayload(LINK_HEADER, 0, 1), masked(1), isEqual(1)];
const ARP = [loadMeta(META_PROTOCOL), isEqual(0x08, 0x06)];
/** The frames that stay on their host. */
const LOCAL: readonly Rule[] = [
  // DHCP, and DHCPv6 (RFC 8415 §7.2).
  ...[67, 68].map((port) => [...UDP, loadPayload(TRANSPORT_HEADER, 2, 2), isEqual(0, port)]),
  ...[546, 547].map((port) => [...UDP, loadPayload(TRANSPORT_HEADER, 2, 2), isEqual(port >> 8, port & 0xff)]),
  [loadMeta(META_TRANSPORT), isEqual(58), loadPayload(TRANSPORT_HEADER, 0, 1), isEqual(134)],
];

function forwardRules(limit: number): Rule[] {
  return [
    // vxlan0 answers ARP itself, by frames that seem to arrive there, and sends none to other hosts (VXLAN_F_PROXY).
    [...TO_HOSTS, ...ARP, end("accept")],
    ...[TO_HOSTS, FROM_HOSTS].flatMap((way) => LOCAL.map((rule) => [...way, ...rule, DROP])),
    [...TO_HOSTS, ...TO_ALL, loadMeta(META_INTERFACE), isOver(SENDERS, limit, limit), DROP],
  ];
}

/** The gateway has nothing to tell the machines of other hosts. */
const OUTPUT_RULES: readonly Rule[] = [[...TO_HOSTS, ...TO_ALL, DROP]];

/** The tables in the networks' namespaces. */
export class BroadcastTables {
  readonly #forward: readonly Rule[];

  /** @param limit How many frames a port may send to all hosts in a second, here and in {@link BroadcastOp}. */
  constructor(private readonly sockets: NftablesSockets, private readonly limit: number) {
    this.#forward = forwardRules(limit);
  }

  /** The limit of the rules that a network's namespace has, 0 for others; undefined: there are none. */
  async read(namespace: NetworkNamespace): Promise<number | undefined> {
    try {
      return await this.sockets.use(namespace, false, async (netlink) => {
        const there = await hasChain(netlink, TABLE, "forward", FORWARD);
        if (there === undefined) return undefined;
        const isRight = there && await hasChain(netlink, TABLE, "output", OUTPUT) &&
          await hasRules(netlink, TABLE, "forward", this.#forward) &&
          await hasRules(netlink, TABLE, "output", OUTPUT_RULES);
        return isRight ? this.limit : 0;
      });
    } catch (error) {
      if (isUnsupported(error)) return undefined;
      throw error;
    }
  }

  carryOut(namespace: NetworkNamespace, op: BroadcastOp): Promise<void> {
    const replaces = op.op === "broadcast-add" && op.replaces;
    const requests = op.op === "broadcast-remove" ? [deleteTable(TABLE)] : [
      ...replaces ? [deleteTable(TABLE)] : [],
      newTable(TABLE),
      newRates(TABLE, SENDERS, IFNAME, IFNAME_LENGTH, 1),
      newChain(TABLE, "forward", FORWARD),
      ...forwardRules(op.limit).map((rule) => newRule(TABLE, "forward", rule)),
      newChain(TABLE, "output", OUTPUT),
      ...OUTPUT_RULES.map((rule) => newRule(TABLE, "output", rule)),
    ];
    return this.sockets.use(
      namespace,
      replaces || op.op === "broadcast-remove",
      (netlink) => commit(netlink, requests),
    );
  }
}
