/**
 * Builds the expressions of nf_tables rules (nft(8)), with their attributes as the kernel takes and lists them
 * (include/uapi/linux/netfilter/nf_tables.h).
 */
import { bytesOf32 } from "../services/common/bytes.ts";
import { type Attribute, be64, text, u32, u8 } from "./netlink_message.ts";

const DATA_VALUE = 1, DATA_VERDICT = 2;
/** The number of the objects that are counters. */
export const COUNTER = 1;
/** The verdicts; a chain's policy is one of them. */
export const NF_ACCEPT = 1, NF_DROP = 0;

/** The registers that expressions load into: two of 16 octets; a key may go on from the first into the second. */
export const FIRST = 1, SECOND = 2;
/** The second four octets of the first register, where a key of small parts goes on. */
export const FIRST_4 = 9;
/** The register behind the first eight octets of {@link SECOND}: an address after a MAC, which has eight octets in a key. */
export const SECOND_8 = 14;
/** Properties of a frame, for {@link loadMeta}: META_INTERFACE is the name of the interface that it came by. */
export const META_PROTOCOL = 1, META_INTERFACE = 6, META_OUTGOING = 7, META_FAMILY = 15, META_TRANSPORT = 16;
/** Properties in this host's byte order. META_USER is the user of this namespace's process whose socket sent the packet. */
export const META_PRIORITY = 2, META_USER = 10;
/** The headers of a frame from which {@link loadPayload} counts. */
export const LINK_HEADER = 0, NETWORK_HEADER = 1, TRANSPORT_HEADER = 2;

/** A part of a rule: its name, and its attributes in the form in which the kernel lists them. */
export type Expression = readonly [name: string, attributes: readonly Attribute[]];
export type Rule = readonly Expression[];

/** Loads a property of the frame; an interface's name has 16 octets. */
export function loadMeta(key: number, register = FIRST): Expression {
  return ["meta", [[2, bytesOf32(key)], [1, bytesOf32(register)]]];
}

/** Sets a property of the frame to 32 bits in this host's order. */
export function setMeta(key: number, value: number): Expression[] {
  return [
    ["immediate", [[1, bytesOf32(FIRST)], [2, [[DATA_VALUE, u32(value)]]]]],
    ["meta", [[2, bytesOf32(key)], [3, bytesOf32(FIRST)]]],
  ];
}

/** Loads octets of the frame. The rule does not apply to a frame that is too short. */
export function loadPayload(header: number, offset: number, length: number, register = FIRST): Expression {
  return ["payload", [[1, bytesOf32(register)], [2, bytesOf32(header)], [3, bytesOf32(offset)], [
    4,
    bytesOf32(length),
  ]]];
}

/** Goes on with the rule where the first register begins with these octets. */
export function isEqual(...octets: number[]): Expression {
  return compare(0, octets);
}

/** Goes on with the rule where the first register does not begin with these octets. */
export function isOther(...octets: number[]): Expression {
  return compare(1, octets);
}

/** Goes on with the rule where the first register begins with less than these octets, as a number with the highest first. */
export function isLess(...octets: number[]): Expression {
  return compare(2, octets);
}

function compare(operation: number, octets: readonly number[]): Expression {
  return ["cmp", [[1, bytesOf32(FIRST)], [2, bytesOf32(operation)], [3, [[
    DATA_VALUE,
    Uint8Array.from(octets),
  ]]]]];
}

/** Leaves of the first register what a mask has. */
export function masked(...mask: number[]): Expression {
  const none = new Uint8Array(mask.length);
  return ["bitwise", [
    [1, bytesOf32(FIRST)],
    [2, bytesOf32(FIRST)],
    [3, bytesOf32(mask.length)],
    [4, [[DATA_VALUE, Uint8Array.from(mask)]]],
    [5, [[DATA_VALUE, none]]],
  ]];
}

/** Goes on with the rule where a set has what is loaded, or has it not. */
export function isIn(set: string, wanted = true): Expression {
  return ["lookup", [[1, text(set)], [2, bytesOf32(FIRST)], [5, bytesOf32(wanted ? 0 : 1)]]];
}

/** Counts the frame in a counter of the table. */
export function countIn(counter: string): Expression {
  return ["objref", [[1, bytesOf32(COUNTER)], [2, text(counter)]]];
}

/** Goes on with the rule where no route to the packet's source leaves by the interface that the packet came by. */
export function isAstray(): Expression[] {
  // NFT_FIB_RESULT_OIF, of the source and the incoming interface, as one octet that says whether there is one.
  return [["fib", [[1, bytesOf32(FIRST)], [2, bytesOf32(1)], [3, bytesOf32(0x29)]]], isEqual(0)];
}

/** Ends the chain for the frame. */
export function end(verdict: "accept" | "drop"): Expression {
  const code = bytesOf32(verdict === "accept" ? NF_ACCEPT : NF_DROP);
  return ["immediate", [[1, bytesOf32(0)], [2, [[DATA_VERDICT, [[1, code]]]]]]];
}

/** Loads the state of the packet's connection: a bit in 32, in this host's order. */
export function loadConnectionState(): Expression {
  return ["ct", [[1, bytesOf32(FIRST)], [2, bytesOf32(0)]]];
}

/** Loads the status of the packet's connection: bits in 32, in this host's order. */
export function loadConnectionStatus(): Expression {
  return ["ct", [[1, bytesOf32(FIRST)], [2, bytesOf32(2)]]];
}

/** The bit of {@link loadConnectionStatus} of a connection whose destination was changed, as for a published port. */
export const REDIRECTED = 0x20;

/** Bits of {@link loadConnectionState}. */
export const ESTABLISHED = 2, RELATED = 4, NEW = 8;

/** Gives the packet the address of the interface that it leaves by, in a chain of type `nat`. */
export function masquerade(): Expression {
  return ["masq", []];
}

/** Lowers a TCP SYN's maximum segment size to what the MTU of the packet's route allows. */
export function clampSegments(): Expression[] {
  return [
    ["rt", [[1, bytesOf32(FIRST)], [2, bytesOf32(3)]]],
    ["byteorder", [[1, bytesOf32(FIRST)], [2, bytesOf32(FIRST)], [3, bytesOf32(1)], [4, bytesOf32(2)], [
      5,
      bytesOf32(2),
    ]]],
    ["exthdr", [[7, bytesOf32(FIRST)], [2, u8(2)], [3, bytesOf32(2)], [4, bytesOf32(2)], [6, bytesOf32(1)]]],
  ];
}

/**
 * Goes on with the rule where there are more than this for the key in the first register, which is counted in a set of
 * `newRates()`.
 *
 * @param burst How many may come at once beyond the rate.
 */
export function isOver(set: string, perSecond: number, burst: number): Expression {
  return ["dynset", [
    [1, text(set)],
    [3, bytesOf32(1)],
    [4, bytesOf32(FIRST)],
    [7, [[1, text("limit")], [2, overRate(perSecond, burst)]]],
  ]];
}

/** Goes on with the rule where there are more than this of all that comes to it. @param burst As in {@link isOver}. */
export function isBeyondRate(perSecond: number, burst: number): Expression {
  return ["limit", overRate(perSecond, burst)];
}

function overRate(perSecond: number, burst: number): Attribute[] {
  return [
    [1, be64(perSecond)],
    [2, be64(1)],
    [3, bytesOf32(burst)],
    [4, bytesOf32(0)],
    [5, bytesOf32(1)],
  ];
}

/** Goes on with the rule for a packet of one more connection than these that have come to it and are open. */
export function isBeyond(connections: number): Expression {
  return ["connlimit", overCount(connections)];
}

/** Goes on as {@link isBeyond} for the key in the first register, whose connections are counted in a set of `newCrowds()`. */
export function isCrowding(set: string, connections: number): Expression {
  return ["dynset", [
    [1, text(set)],
    [3, bytesOf32(0)],
    [4, bytesOf32(FIRST)],
    [7, [[1, text("connlimit")], [2, overCount(connections)]]],
  ]];
}

function overCount(connections: number): Attribute[] {
  return [[1, bytesOf32(connections)], [2, bytesOf32(1)]];
}
