/**
 * Limits the connections that machines of a network with egress open to the world: each is in the host's table of
 * connections, which all programs of the host share, and which one machine could fill.
 */
import { newCrowds, newRates } from "../../../ffi/netlink_nftables.ts";
import {
  countIn,
  end,
  FIRST,
  isBeyond,
  isBeyondRate,
  isCrowding,
  isEqual,
  isOther,
  isOver,
  loadConnectionState,
  loadMeta,
  loadPayload,
  masked,
  META_FAMILY,
  NETWORK_HEADER,
  NEW,
  type Rule,
} from "../../../ffi/nftables_expressions.ts";
import type { NftTable } from "../../../ffi/netlink_nftables.ts";
import type { Request } from "../../../ffi/netlink.ts";

/** How many connections to the world may be open at once. */
export interface ConnectionLimits {
  readonly network: number;
  /** The part of one address of the network. */
  readonly machine: number;
}

/** The kernel's setting of the host's table, and what it is on most hosts. */
const TABLE_SIZE = "/proc/sys/net/netfilter/nf_conntrack_max", USUAL_SIZE = 262_144;
/** A network's part of the host's table, or USUAL, up to a part of a small table; a machine's part of the network's. */
const OF_HOST = 16, USUAL = 16_384, OF_SMALL_HOST = 4, OF_NETWORK = 4;
/**
 * A sixteenth of that number may begin in a second. A closed connection stays in the host's table for two minutes, in which
 * one network cannot fill it so.
 */
const RATE = 4;
/** Sets of addresses, and nft(8)'s number of their type. */
const RATES = "rates", CONNECTIONS = "connections", ADDRESS = 7;
/** The most machines that are counted one by one. */
const MACHINES = 65_536;
/** The counter of packets that would open one more. */
export const BEYOND_LIMIT = "beyond-limit";

/** The limits. @param configured Of a network. @param size Of the host's table. */
export function connectionLimits(configured?: number, size = tableSize()): ConnectionLimits {
  const network = configured ?? Math.floor(Math.max(size / OF_HOST, Math.min(USUAL, size / OF_SMALL_HOST)));
  return { network, machine: Math.max(1, Math.floor(network / OF_NETWORK)) };
}

function tableSize(): number {
  try {
    return Math.max(1024, Number(Deno.readTextFileSync(TABLE_SIZE)) || USUAL_SIZE);
  } catch {
    // The kernel's module is loaded with the first rules that need it.
    return USUAL_SIZE;
  }
}

/**
 * The rules for packets to the world. What has begun passes. The kernel keeps a note of each packet that a limit refuses, and
 * forgets some thousands of these in a second: so there are no more of them than the rates let through.
 *
 * @param toWorld Goes on for packets that leave the network.
 */
export function limitRules(toWorld: Rule, { network, machine }: ConnectionLimits): Rule[] {
  const begins: Rule = [...toWorld, loadConnectionState(), masked(NEW, 0, 0, 0), isOther(0, 0, 0, 0)];
  const source: Rule = [loadMeta(META_FAMILY), isEqual(2), loadPayload(NETWORK_HEADER, 12, 4, FIRST)];
  const refuse = [countIn(BEYOND_LIMIT), end("drop")];
  return [
    [...begins, ...source, isOver(RATES, Math.max(100, machine >> RATE), Math.max(100, machine)), ...refuse],
    [...begins, isBeyondRate(Math.max(400, network >> RATE), Math.max(400, network)), ...refuse],
    [...begins, ...source, isCrowding(CONNECTIONS, machine), ...refuse],
    [...begins, isBeyond(network), ...refuse],
  ];
}

/** The sets that the rules refer to. */
export function limitSets(table: NftTable): Request[] {
  return [
    newRates(table, RATES, ADDRESS, 4, 1),
    newCrowds(table, CONNECTIONS, ADDRESS, 2, MACHINES),
  ];
}
