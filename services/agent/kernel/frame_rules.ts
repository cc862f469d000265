/** Parts of the rules of containment.ts: what frames they are about, and the rules for frames of other hosts. */
import {
  end,
  isEqual,
  isLess,
  isOther,
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
import { VXLAN } from "../../overlay/state.ts";

export const IPV4 = [loadMeta(META_PROTOCOL), isEqual(0x08, 0x00)];
export const ARP = [loadMeta(META_PROTOCOL), isEqual(0x08, 0x06)];
export const IPV6 = [loadMeta(META_PROTOCOL), isEqual(0x86, 0xdd)];
export const UDP = [loadMeta(META_TRANSPORT), isEqual(17)];
export const NO_UDP = [loadMeta(META_TRANSPORT), isOther(17)];
const ICMPV6 = [loadMeta(META_TRANSPORT), isEqual(58)];
/** Goes on with UDP to a port that the packet names. */
export const to = (
  port: number,
) => [...UDP, loadPayload(TRANSPORT_HEADER, 2, 2), isEqual(port >> 8, port & 0xff)];
/** A router advertisement. */
export const ADVERTISEMENT = [...IPV6, ...ICMPV6, loadPayload(TRANSPORT_HEADER, 0, 1), isEqual(134)];
/**
 * Frames that the rules for ARP, IPv4 and IPv6 do not see into, although a machine may: the kernel has taken one tag out, and a
 * machine takes out a second one of VLAN 0, by whatever type; some read ARP and IPv4 behind LLC and SNAP too. Spanning tree's
 * messages, which a physical switch would follow, have LLC and an address that a bridge keeps for itself (IEEE 802.1D §7.12.6).
 */
export const HIDING: readonly Rule[] = [
  ...[0x81, 0x91].map((type) => [loadMeta(META_PROTOCOL), isEqual(type, 0x00)]),
  [loadMeta(META_PROTOCOL), isEqual(0x88, 0xa8)],
  [loadMeta(META_PROTOCOL), isLess(0x06, 0x00)],
  [
    loadPayload(LINK_HEADER, 0, 6),
    masked(0xff, 0xff, 0xff, 0xff, 0xff, 0xf0),
    isEqual(0x01, 0x80, 0xc2, 0x00, 0x00, 0x00),
  ],
];
export const VXLAN_NAME = new TextEncoder().encode(VXLAN.padEnd(16, "\0"));
/** A frame with a tag of VLAN 0, which the kernel has taken out; frames without one begin otherwise at that place. */
const PRIORITY_TAGGED = [
  loadPayload(LINK_HEADER, 12, 2),
  isEqual(0x81, 0x00),
  loadPayload(LINK_HEADER, 14, 2),
  masked(0x0f, 0xff),
  isEqual(0, 0),
];
/**
 * Each host's gateway serves its own machines alone: no answer of DHCP and no router advertisement comes from another host, by
 * whatever port. ARP neither, but for vxlan0's own answers, which have no tag.
 */
export const ARRIVING_RULES: readonly Rule[] = [
  [loadMeta(META_INTERFACE), isOther(...VXLAN_NAME), end("accept")],
  [...IPV4, ...to(68), end("drop")],
  [...IPV6, ...to(546), end("drop")],
  [...ADVERTISEMENT, end("drop")],
  ...[[0x08, 0x06], [0x81, 0x00], [0x88, 0xa8]].map((type) => [
    ...PRIORITY_TAGGED,
    loadMeta(META_PROTOCOL),
    isEqual(...type),
    end("drop"),
  ]),
];
