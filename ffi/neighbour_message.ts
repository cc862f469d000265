/** The messages by which rtnetlink(7) sets and deletes ARP and FDB entries, many of one kind from one template. */
import { encodeMessage, HEADER, u32 } from "./netlink_message.ts";

export const AF_INET = 2, AF_BRIDGE = 7, AF_INET6 = 10;
export const NDA_DST = 1, NDA_LLADDR = 2, NUD_PERMANENT = 0x80, NTF_SELF = 2;
/** Octets of struct ndmsg {u8 family, pad, i32 ifindex, u16 state, u8 flags, u8 type}, and where its flags are. */
export const NDMSG = 12, FLAGS = 10;

/**
 * A device's table: `arp` (the MAC of an address; NDP's for IPv6) or `fdb` (the host behind which a MAC is: a vxlan
 * device's forwarding table).
 */
export type NeighTable = "arp" | "fdb";

/** Pairs of address and MAC, in flat arrays. In an `fdb`, the address is the remote host's. */
export interface Neighbours {
  readonly count: number;
  /** Octets of an address: 4 or 16. */
  readonly width: 4 | 16;
  /** Entry i has `width` octets from `i * width`. */
  readonly addresses: Uint8Array;
  /** Entry i has 6 octets from `i * 6`. */
  readonly macs: Uint8Array;
}

/** Entries without the octets of addresses that the messages leave out. */
export type Pairs = Omit<Neighbours, "width"> & { readonly width: Width };

/** A message without its pair, and the positions of the pair. */
export interface Template {
  readonly bytes: Uint8Array;
  readonly addressAt: number;
  readonly macAt: number;
}

/** A message that adds or removes an entry, whose address and MAC are written into it for each. */
export function template(
  table: NeighTable,
  type: number,
  flags: number,
  ifindex: number,
  width: Width,
): Template {
  const bytes = encodeMessage(type, flags, ndmsg(table, width, ifindex), [
    width ? [NDA_DST, new Uint8Array(width)] : undefined,
    [NDA_LLADDR, new Uint8Array(6)],
  ]);
  return { bytes, addressAt: HEADER + NDMSG + 4, macAt: bytes.length - 8 };
}

/** Octets of an address; 0 where none is named. */
type Width = 0 | 4 | 16;

function ndmsg(table: NeighTable, width: Width, ifindex: number): Uint8Array {
  const fixed = new Uint8Array(NDMSG);
  fixed[0] = table === "fdb" ? AF_BRIDGE : width === 4 ? AF_INET : AF_INET6;
  fixed.set(u32(ifindex), 4);
  fixed[8] = NUD_PERMANENT;
  fixed[FLAGS] = table === "fdb" ? NTF_SELF : 0;
  return fixed;
}

/** The messages for `count` entries from `first` on. */
export function encodePairs(
  { width, addresses, macs }: Pairs,
  { bytes, addressAt, macAt }: Template,
  first: number,
  count: number,
): Uint8Array<ArrayBuffer> {
  const size = bytes.length, messages = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) {
    const at = i * size;
    messages.set(bytes, at);
    for (let k = 0, from = (first + i) * width, to = at + addressAt; k < width; k++) {
      messages[to + k] = addresses[from + k]!;
    }
    for (let k = 0, from = (first + i) * 6, to = at + macAt; k < 6; k++) messages[to + k] = macs[from + k]!;
  }
  return messages;
}
