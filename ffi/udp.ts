/** Opens UDP sockets, and receives and sends batches of datagrams by one system call (recvmmsg(2), sendmmsg(2)). */
import { checked, EAGAIN, EINTR, ENETDOWN, ENOMEM, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import {
  CONTROL_LENGTH,
  HEADER,
  headersOf,
  IOVEC,
  LENGTH,
  MSG_DONTWAIT,
  NAME,
  NAME_LENGTH,
  sendSlots,
} from "./mmsghdr.ts";

const AF_INET = 2, AF_INET6 = 10;
const SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_RCVBUF = 8, SO_BINDTODEVICE = 25, SO_RCVBUFFORCE = 33;
const IPPROTO_IP = 0, IP_PKTINFO = 8, IP_MTU_DISCOVER = 10, IP_FREEBIND = 15, IPPROTO_UDP = 17;
const IPPROTO_IPV6 = 41, IPV6_MTU_DISCOVER = 23, IPV6_V6ONLY = 26, IPV6_RECVPKTINFO = 49;
const PMTUDISC_OMIT = 5;

/** struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)) of an address of 4 or 16 octets. */
export function sockaddr(address: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  const four = address.length === 4;
  const bytes = new Uint8Array(four ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, four ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, four ? 4 : 8);
  return bytes;
}

export interface UdpOptions {
  /** The interface that it receives by and sends out of (SO_BINDTODEVICE); absent: any. */
  readonly device?: string;
  /** Other sockets that allow it, too, may have the port, where they are on another interface or not (SO_REUSEADDR). */
  readonly share?: boolean;
  /** The address need not be this host's, or not yet (IP_FREEBIND). */
  readonly early?: boolean;
  /** Octets of its receive buffer, as far as the system allows; default 4 MiB. */
  readonly buffer?: number;
}

/**
 * A bound UDP socket, not blocking. Bound to the unspecified address, it says and takes with each datagram
 * which local address that goes to and comes from. IPv6 sockets take IPv6 only.
 *
 * @param address 4 or 16 octets
 * @param port 0 for any
 * @throws SystemError, naming `what`
 */
export function openUdp(
  address: Uint8Array,
  port: number,
  what: string,
  { device, share = false, early = false, buffer = 4 << 20 }: UdpOptions = {},
): number {
  const four = address.length === 4;
  const fd = checked(
    libc.socket(four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    `open a socket for ${what}`,
  );
  try {
    const set = (level: number, option: number, value: number) =>
      libc.setsockopt(fd, level, option, Int32Array.of(value), 4);
    // Room for a burst: as much as the system lets us have.
    if (set(SOL_SOCKET, SO_RCVBUFFORCE, buffer) < 0) set(SOL_SOCKET, SO_RCVBUF, buffer);
    // No path MTU that a forged ICMP message could have shrunk.
    if (four) set(IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_OMIT);
    else {
      set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_OMIT);
      checked(set(IPPROTO_IPV6, IPV6_V6ONLY, 1), `listen on ${what}`);
    }
    if (address.every((octet) => octet === 0)) {
      const on = four ? set(IPPROTO_IP, IP_PKTINFO, 1) : set(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      checked(on, `listen on ${what}`);
    }
    if (device !== undefined) {
      const name = new TextEncoder().encode(`${device}\0`);
      checked(libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length), `listen on ${what}`);
    }
    if (share) checked(set(SOL_SOCKET, SO_REUSEADDR, 1), `listen on ${what}`);
    if (early) checked(set(IPPROTO_IP, IP_FREEBIND, 1), `listen on ${what}`);
    const name = sockaddr(address, port);
    checked(libc.bind(fd, name, name.length), `listen on ${what}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** The port to which a socket of {@link openUdpSender} is bound: nothing is sent to it. */
const unused = Uint8Array.of(127, 0, 0, 255);

/**
 * A socket to send IPv4 UDP datagrams that bring their UDP header, from any address and port: it binds
 * neither, so that other servers can, and is bound to no interface (raw(7)). It receives nothing.
 *
 * @throws SystemError, naming `what`
 */
export function openUdpSender(what: string): number {
  const fd = checked(
    libc.socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP),
    `open a raw socket for ${what}`,
  );
  try {
    const set = (option: number, value: number) =>
      checked(libc.setsockopt(fd, IPPROTO_IP, option, Int32Array.of(value), 4), `send ${what}`);
    // The kernel fragments where it must, as for openUdp().
    set(IP_MTU_DISCOVER, PMTUDISC_OMIT);
    // Unbound, it would be given a copy of all UDP that comes in. lo may be down.
    set(IP_FREEBIND, 1);
    const name = sockaddr(unused, 0);
    checked(libc.bind(fd, name, name.length), `send ${what}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** The port that a socket is bound to. */
export function localPort(fd: number): number {
  const name = new Uint8Array(28);
  checked(libc.getsockname(fd, name, Uint32Array.of(name.length)), "getsockname");
  return new DataView(name.buffer).getUint16(2);
}

/** Octets of ancillary data: a struct cmsghdr with an in6_pktinfo, and one with an in_pktinfo. */
const CMSG = 48, CMSG4 = 32;

/**
 * Datagrams received and sent many at a time, each answered in the place where it came in.
 *
 * Slot `i` is `size` octets of `buffer` from `i * size`. What a slot was received from, and on which local address,
 * is where it will be sent to and from.
 */
export class UdpBatch {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #names: Uint8Array<ArrayBuffer>;
  readonly #controls: Uint8Array<ArrayBuffer>;
  readonly #controlWords: Uint32Array<ArrayBuffer>;
  readonly #iovecs: Uint32Array<ArrayBuffer>;
  readonly #pointers: readonly Deno.PointerValue[];
  /** How many slots the last call filled: only their lengths have to be reset. */
  #filled: number;

  constructor(readonly slots: number, readonly size: number) {
    this.buffer = new Uint8Array(slots * size);
    const { words, names, controls, iovecs, pointers } = headersOf(this.buffer, size, CMSG);
    this.#words = words;
    this.#names = names;
    this.#controls = new Uint8Array(controls.buffer);
    this.#controlWords = controls;
    this.#iovecs = iovecs;
    this.#pointers = pointers;
    this.#filled = slots;
  }

  /** Takes what has arrived, at most all slots full. @returns how many datagrams; 0 when there is none */
  receive(fd: number): number {
    const words = this.#words, iovecs = this.#iovecs;
    for (let i = 0; i < this.#filled; i++) {
      const header = i * (HEADER / 4);
      words[header + NAME_LENGTH / 4] = NAME;
      words[header + CONTROL_LENGTH / 4] = CMSG;
      iovecs[i * (IOVEC / 4) + 2] = this.size;
    }
    const count = libc.recvmmsg(fd, this.#pointers[0] ?? null, this.slots, MSG_DONTWAIT, null);
    if (count < 0) {
      const code = errno();
      this.#filled = 0;
      // An error from a peer's ICMP message, or a lack of memory, passes: the next call goes on.
      if (code === EAGAIN || code === EINTR || code === ENOMEM || code >= ENETDOWN) return 0;
      throw new SystemError("recvmmsg", code);
    }
    this.#filled = count;
    for (let i = 0; i < count; i++) {
      if (words[i * (HEADER / 4) + CONTROL_LENGTH / 4] !== 0) this.#anyInterface(i);
    }
    return count;
  }

  /**
   * Leaves the interface of the answer to the routes: only the address that was asked is kept from in_pktinfo
   * {ifindex, spec_dst, addr} or in6_pktinfo {addr, ifindex}. A link-local address needs its interface.
   */
  #anyInterface(slot: number): void {
    const control = this.#controlWords, at = slot * (CMSG / 4) + 4;
    if (control[at - 2] === IPPROTO_IP) control[at] = 0;
    else if ((control[at]! & 0xc0ff) !== 0x80fe) control[at + 4] = 0;
  }

  /** Octets received in a slot. */
  length(slot: number): number {
    return this.#words[slot * (HEADER / 4) + LENGTH / 4]!;
  }

  /** Octets to send from a slot. */
  setLength(slot: number, octets: number): void {
    this.#iovecs[slot * (IOVEC / 4) + 2] = octets;
  }

  /**
   * Sends `count` slots from `slot` on, each to where it came from. One that cannot be sent is passed over.
   * @returns how many the kernel did not take
   */
  send(fd: number, slot: number, count: number): number {
    return sendSlots(fd, this.#pointers, slot, count);
  }

  /** A slot's peer and local address, as {@link address} takes them. */
  origin(slot: number): Uint8Array<ArrayBuffer> {
    const header = slot * (HEADER / 4);
    const name = this.#words[header + NAME_LENGTH / 4]!, control = this.#words[header + CONTROL_LENGTH / 4]!;
    const origin = new Uint8Array(2 + name + control);
    origin[0] = name;
    origin[1] = control;
    origin.set(this.#names.subarray(slot * NAME, slot * NAME + name), 2);
    origin.set(this.#controls.subarray(slot * CMSG, slot * CMSG + control), 2 + name);
    return origin;
  }

  /** Makes a slot go to where another one, of any batch, came from. */
  address(slot: number, origin: Uint8Array): void {
    const [name = 0, control = 0] = origin;
    const header = slot * (HEADER / 4);
    this.#words[header + NAME_LENGTH / 4] = name;
    this.#words[header + CONTROL_LENGTH / 4] = control;
    this.#names.set(origin.subarray(2, 2 + name), slot * NAME);
    this.#controls.set(origin.subarray(2 + name), slot * CMSG);
  }
}

const ORIGIN4 = 2 + 16 + CMSG4;

/** Makes origins for {@link UdpBatch.address}, each in the place of the one before. */
export class Origin4 {
  readonly #bytes = new Uint8Array(ORIGIN4);
  readonly #view = new DataView(this.#bytes.buffer, 2);

  constructor() {
    this.#bytes[0] = 16;
    this.#bytes[1] = CMSG4;
    this.#view.setUint16(0, AF_INET, true);
    // struct cmsghdr {u64 length, i32 level, i32 type}, then in_pktinfo {ifindex, spec_dst, addr}
    this.#view.setUint32(16, 28, true);
    this.#view.setInt32(16 + 8, IPPROTO_IP, true);
    this.#view.setInt32(16 + 12, IP_PKTINFO, true);
  }

  /** To `peer` and its port, from `local` (0: the routes choose); IPv4 addresses as 32-bit values. */
  of(peer: number, port: number, local: number): Uint8Array<ArrayBuffer> {
    this.#view.setUint16(2, port);
    this.#view.setUint32(4, peer);
    this.#view.setUint32(16 + 20, local);
    return this.#bytes;
  }
}
