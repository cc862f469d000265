/** Reads Ethernet frames with an IPv4 UDP datagram in place, and writes them around a payload. */
import { read16, read32, write16, write32 } from "../common/bytes.ts";

const ETHERNET_HEADER = 14, IPV4_HEADER = 20;
/** The length of a UDP header. */
export const UDP_HEADER = 8;

/** The offset of the payload in a frame that {@link writeFrame} completes. */
export const PAYLOAD_AT = ETHERNET_HEADER + IPV4_HEADER + UDP_HEADER;

/** The addresses and payload of a received frame; one object is used for frame after frame. */
export class Frame {
  /** The offset of the UDP payload in the buffer. */
  payloadAt = 0;
  payloadLength = 0;
  /** IPv4 addresses as 32-bit values. */
  source = 0;
  destination = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /**
   * Reads an Ethernet frame with an IPv4 UDP datagram; false when its lengths contradict each other. Checksums are not
   * verified: those of a local veth are not filled in yet (packet(7), TP_STATUS_CSUMNOTREADY).
   */
  read(bytes: Uint8Array, at: number, length: number): boolean {
    const ip = at + ETHERNET_HEADER;
    if (length < PAYLOAD_AT) return false;
    const header = ((bytes[ip] ?? 0) & 0xf) * 4;
    const total = read16(bytes, ip + 2);
    if ((bytes[ip] ?? 0) >> 4 !== 4 || header < IPV4_HEADER || total > length - ETHERNET_HEADER) return false;
    const datagram = read16(bytes, ip + header + 4);
    if (datagram < UDP_HEADER || header + datagram > total) return false;
    this.payloadAt = ip + header + UDP_HEADER;
    this.payloadLength = datagram - UDP_HEADER;
    this.source = read32(bytes, ip + 12);
    this.destination = read32(bytes, ip + 16);
    [this.#bytes, this.#at] = [bytes, at];
    return true;
  }

  /** True when the frame's Ethernet source is the six octets at `at` of its buffer; valid until the buffer is used again. */
  isFrom(at: number): boolean {
    for (let i = 0; i < 6; i++) if (this.#bytes[this.#at + 6 + i] !== this.#bytes[at + i]) return false;
    return true;
  }
}

/** The source and destination of a datagram; IPv4 addresses as 32-bit values. */
export interface UdpAddresses {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface FrameAddresses extends UdpAddresses {
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
}

/**
 * Writes the headers around the `payload` octets that lie at {@link PAYLOAD_AT} from `at`, checksums included.
 * @returns the frame's length
 */
export function writeFrame(out: Uint8Array, at: number, payload: number, to: FrameAddresses): number {
  for (let i = 0; i < 6; i++) {
    out[at + i] = to.destinationMac[i] ?? 0;
    out[at + 6 + i] = to.sourceMac[i] ?? 0;
  }
  write16(out, at + 12, 0x0800);

  const ip = at + ETHERNET_HEADER, udp = ip + IPV4_HEADER;
  write16(out, ip, 0x4500);
  write16(out, ip + 2, IPV4_HEADER + UDP_HEADER + payload);
  write16(out, ip + 4, 0); // No fragments, so no identification (RFC 6864).
  write16(out, ip + 6, 0x4000);
  out[ip + 8] = 64;
  out[ip + 9] = 17;
  write16(out, ip + 10, 0);
  write32(out, ip + 12, to.source);
  write32(out, ip + 16, to.destination);
  write16(out, ip + 10, checksum(out, ip, IPV4_HEADER, 0));

  return PAYLOAD_AT - UDP_HEADER + writeUdp(out, udp, payload, to);
}

/**
 * Writes the UDP header before the `payload` octets that lie {@link UDP_HEADER} from `at`; with a checksum, unless the
 * source is 0, which is when it is not known yet, or the checksum computes to zero. That one is to be sent as 0xffff (RFC 768),
 * which busybox's udhcpc takes for a wrong one: of the same answer each time, until it begins again with another xid. Every
 * client takes a datagram without a checksum.
 * @returns the datagram's length
 */
export function writeUdp(out: Uint8Array, at: number, payload: number, to: UdpAddresses): number {
  write16(out, at, to.sourcePort);
  write16(out, at + 2, to.destinationPort);
  write16(out, at + 4, UDP_HEADER + payload);
  write16(out, at + 6, 0);
  // A checksum of zero says that there is none.
  if (to.source === 0) return UDP_HEADER + payload;
  // The pseudo-header: both addresses, the protocol and the length (RFC 768).
  const pseudo = (to.source >>> 16) + (to.source & 0xffff) + (to.destination >>> 16) +
    (to.destination & 0xffff) +
    17 + UDP_HEADER + payload;
  write16(out, at + 6, checksum(out, at, UDP_HEADER + payload, pseudo));
  return UDP_HEADER + payload;
}

/** The Internet checksum (RFC 1071) of `length` octets, on top of `sum`. */
export function checksum(bytes: Uint8Array, at: number, length: number, sum: number): number {
  const even = at + (length & ~1);
  for (let i = at; i < even; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  if (length & 1) sum += (bytes[even] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
