/** AF_PACKET sockets with a BPF filter (packet(7)), and batches of frames received and sent by one system call. */
import { checked, EAGAIN, EINTR, ENETDOWN, ENODEV, errno, SystemError } from "./errno.ts";
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
import { inNamespace } from "./netns.ts";

const AF_PACKET = 17, ETH_P_IP = 0x0800, ETH_P_ARP = 0x0806, ETH_P_ALL = 0x0003;
const SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1,
  SO_RCVBUF = 8,
  SO_ATTACH_FILTER = 26,
  SO_RCVBUFFORCE = 33,
  SO_TIMESTAMPNS = 35,
  SO_LOCK_FILTER = 44;
const SOL_PACKET = 263, PACKET_IGNORE_OUTGOING = 23;

/** One instruction of a classic BPF program: code, jump if true, jump if false, operand. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number];

const LD_W_ABS = 0x20, LD_H_ABS = 0x28, LD_B_ABS = 0x30, LD_W_IND = 0x40, LD_H_IND = 0x48, LDX_MSH = 0xb1;
const JEQ = 0x15, JSET = 0x45, RSH = 0x74, RET = 0x06;
const AD_PKTTYPE = 0xfffff000 + 4, AD_IFINDEX = 0xfffff000 + 8, AD_VLAN_TAG_PRESENT = 0xfffff000 + 48;
const PACKET_OTHERHOST = 3;

/** Lets pass whole, untagged IPv4 datagrams to a UDP port, but not those that pass by to another host. */
export function udpFilter(port: number): Instruction[] {
  return [
    [LD_W_ABS, 0, 0, AD_PKTTYPE],
    [JEQ, 12, 0, PACKET_OTHERHOST],
    // The kernel has taken the tag of another VLAN out: nothing else tells these frames from ours.
    [LD_W_ABS, 0, 0, AD_VLAN_TAG_PRESENT],
    [JEQ, 0, 10, 0],
    [LD_H_ABS, 0, 0, 12],
    [JEQ, 0, 8, ETH_P_IP],
    [LD_B_ABS, 0, 0, 23],
    [JEQ, 0, 6, 17],
    [LD_H_ABS, 0, 0, 20],
    [JSET, 4, 0, 0x3fff],
    [LDX_MSH, 0, 0, 14],
    [LD_H_IND, 0, 0, 16],
    [JEQ, 0, 1, port],
    [RET, 0, 0, 0xffff],
    [RET, 0, 0, 0],
  ];
}

/** Lets pass VXLAN with this VNI over IPv4 (RFC 7348 §5), without its last octets. */
export function vxlanFilter(port: number, vni: number): Instruction[] {
  return [
    [LD_H_ABS, 0, 0, 12],
    [JEQ, 0, 9, ETH_P_IP],
    [LD_B_ABS, 0, 0, 23],
    [JEQ, 0, 7, 17],
    [LDX_MSH, 0, 0, 14],
    [LD_H_IND, 0, 0, 16],
    [JEQ, 0, 4, port],
    [LD_W_IND, 0, 0, 26],
    [RSH, 0, 0, 8],
    [JEQ, 0, 1, vni],
    [RET, 0, 0, 160],
    [RET, 0, 0, 0],
  ];
}

/**
 * Lets pass the same of a bridge's ports, to whatever Ethernet address: of the interface `bridge` itself nothing passes, since each
 * of its frames has come in by a port before.
 */
export function portsUdpFilter(port: number, bridge: number): Instruction[] {
  const [, other = [0, 0, 0, 0], ...rest] = udpFilter(port);
  return [[LD_W_ABS, 0, 0, AD_IFINDEX], [JEQ, other[1], other[2], bridge], ...rest];
}

/** The most addresses that {@link arpFilter} compares. */
const MOST_ADDRESSES = 200;

/** Lets pass untagged ARP whose sender has one of these IPv4 addresses, as 32-bit values; of very many addresses, all ARP. */
export function arpFilter(addresses: readonly number[]): Instruction[] {
  const compared = addresses.length > MOST_ADDRESSES ? [] : addresses;
  return [
    [LD_W_ABS, 0, 0, AD_VLAN_TAG_PRESENT],
    [JEQ, 1, 0, 0],
    [RET, 0, 0, 0],
    [LD_H_ABS, 0, 0, 12],
    [JEQ, 1, 0, ETH_P_ARP],
    [RET, 0, 0, 0],
    [LD_W_ABS, 0, 0, 28],
    ...compared.map((address, i): Instruction => [JEQ, compared.length - i, 0, address]),
    [RET, 0, 0, compared.length ? 0 : 0xffff],
    [RET, 0, 0, 0xffff],
  ];
}

/** Lets nothing pass. */
export const nothing: readonly Instruction[] = [[RET, 0, 0, 0]];

/** Attaches a filter to a socket: SO_ATTACH_FILTER of socket(7). */
export function attachFilter(fd: number, program: readonly Instruction[]): void {
  // struct sock_fprog {u16 length, program}, and the program in the same buffer: passing it keeps both alive.
  const bytes = new Uint8Array(16 + program.length * 8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, program.length, true);
  view.setBigUint64(8, Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)) + 16n, true);
  program.forEach(([code, jt, jf, k], i) => {
    view.setUint16(16 + i * 8, code, true);
    view.setUint8(18 + i * 8, jt);
    view.setUint8(19 + i * 8, jf);
    view.setUint32(20 + i * 8, k, true);
  });
  checked(libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes, 16), "attach a packet filter");
}

export interface PacketOptions {
  /** Octets of its receive buffer, as far as the system allows; default 8 MiB. */
  readonly buffer?: number;
  /** True: also frames that a bridge takes from the interface. */
  readonly bridged?: boolean;
  /** True: frames of all kinds that come in and that go out. */
  readonly both?: boolean;
  /** True: a process that is handed the socket can neither remove the filter nor attach another one. */
  readonly locked?: boolean;
}

/**
 * A packet(7) socket, not blocking, for the IPv4 frames that an interface receives and the filter lets pass.
 * @param ifindex 0: all interfaces of the network namespace
 * @throws SystemError naming `what`
 */
export function openPacket(
  ifindex: number,
  filter: readonly Instruction[],
  what: string,
  { buffer = 8 << 20, bridged = false, both = false, locked = false }: PacketOptions = {},
): number {
  // Protocol 0: nothing comes in before the filter is there.
  const fd = checked(
    libc.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    `open a packet socket on ${what}`,
  );
  try {
    const burst = Int32Array.of(buffer);
    if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, burst, 4) < 0) {
      libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, burst, 4);
    }
    attachFilter(fd, filter);
    if (locked) {
      checked(
        libc.setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, Int32Array.of(1), 4),
        `lock the filter on ${what}`,
      );
    }
    checked(
      libc.setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, Int32Array.of(1), 4),
      `time what comes in on ${what}`,
    );
    if (!both) {
      const ignored = libc.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Int32Array.of(1), 4);
      checked(ignored, `ignore what goes out on ${what}`);
    }
    // struct sockaddr_ll {u16 family, u16 protocol, i32 ifindex, u16 hatype, u8 pkttype, u8 halen, addr[8]}
    const name = new Uint8Array(20);
    const view = new DataView(name.buffer);
    view.setUint16(0, AF_PACKET, true);
    // A bridge takes its ports' frames before those sockets get them that are bound to a protocol.
    view.setUint16(2, bridged || both ? ETH_P_ALL : ETH_P_IP);
    view.setInt32(4, ifindex, true);
    checked(libc.bind(fd, name, name.length), `receive on ${what}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * Sends Ethernet frames out of a link of a network namespace, through a socket that is closed again at once.
 *
 * @param namespace a descriptor
 * @throws SystemError when there is no such link, or it is down
 */
export function sendFrames(
  namespace: number,
  link: string,
  frames: readonly Uint8Array<ArrayBuffer>[],
): void {
  inNamespace(namespace, () => {
    const what = `send on ${link}`;
    const fd = checked(libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), what);
    try {
      const index = libc.if_nametoindex(new TextEncoder().encode(`${link}\0`));
      if (!index) throw new SystemError(what, ENODEV);
      // struct sockaddr_ll, as below.
      const to = new Uint8Array(20), view = new DataView(to.buffer);
      view.setUint16(0, AF_PACKET, true);
      view.setInt32(4, index, true);
      for (const frame of frames) {
        checked(libc.sendto(fd, frame, frame.length, MSG_DONTWAIT, to, to.length), what);
      }
    } finally {
      libc.close(fd);
    }
  });
}

/** The offsets of sll_ifindex and sll_pkttype in a struct sockaddr_ll, and its length. */
const IFINDEX = 4, PKTTYPE = 10, SOCKADDR_LL = 20;
// A struct cmsghdr {u64 length, i32 level, i32 type} with a struct timespec {i64 seconds, i64 nanoseconds} (cmsg(3)).
const STAMP = 32, STAMP_TYPE = 12, SECONDS = 16, NANOSECONDS = 24;

/** Frames received or sent many at a time. Slot `i` is `size` octets of `buffer` from `i * size`. */
export class FrameBatch {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #headers: Uint32Array<ArrayBuffer>;
  readonly #names: Uint8Array<ArrayBuffer>;
  readonly #nameView: DataView;
  readonly #iovecs: Uint32Array<ArrayBuffer>;
  readonly #stamps: Uint32Array<ArrayBuffer>;
  readonly #pointers: readonly Deno.PointerValue[];

  constructor(readonly slots: number, readonly size: number) {
    this.buffer = new Uint8Array(slots * size);
    const { words, names, controls, iovecs, pointers } = headersOf(this.buffer, size, STAMP);
    this.#headers = words;
    this.#names = names;
    this.#nameView = new DataView(names.buffer);
    this.#iovecs = iovecs;
    this.#stamps = controls;
    this.#pointers = pointers;
  }

  /**
   * Takes what has arrived, at most all slots full.
   * @returns how many frames; -1 when the interface is down or gone
   */
  receive(fd: number): number {
    for (let i = 0; i < this.slots; i++) {
      this.#headers[(i * HEADER + NAME_LENGTH) / 4] = NAME;
      this.#headers[(i * HEADER + CONTROL_LENGTH) / 4] = STAMP;
      this.#iovecs[i * (IOVEC / 4) + 2] = this.size;
    }
    const count = libc.recvmmsg(fd, this.#pointers[0] ?? null, this.slots, MSG_DONTWAIT, null);
    if (count >= 0) return count;
    const code = errno();
    if (code === EAGAIN || code === EINTR) return 0;
    if (code === ENETDOWN || code === ENODEV) return -1;
    throw new SystemError("recvmmsg", code);
  }

  /** Octets received in a slot; a longer frame was cut off at `size`. */
  length(slot: number): number {
    return this.#headers[(slot * HEADER + LENGTH) / 4] ?? 0;
  }

  /** True for a broadcast frame. */
  broadcast(slot: number): boolean {
    return this.#names[slot * NAME + PKTTYPE] === 1;
  }

  /** True for a frame that went out: see `both` of {@link PacketOptions}. */
  outgoing(slot: number): boolean {
    return this.#names[slot * NAME + PKTTYPE] === 4;
  }

  /** The index of the interface that the frame in a slot came in by. */
  interfaceOf(slot: number): number {
    return this.#nameView.getInt32(slot * NAME + IFINDEX, true);
  }

  /** Has the frame in a slot sent out of an interface, by a socket that is bound to none. To be called after setLength(). */
  sendBy(slot: number, ifindex: number): void {
    this.#headers[(slot * HEADER + NAME_LENGTH) / 4] = SOCKADDR_LL;
    this.#names.fill(0, slot * NAME, slot * NAME + SOCKADDR_LL);
    this.#nameView.setUint16(slot * NAME, AF_PACKET, true);
    this.#nameView.setInt32(slot * NAME + IFINDEX, ifindex, true);
  }

  /**
   * When the kernel received the frame in a slot, in ms since the epoch: a process that was stopped, or is behind, reads
   * frames long after that. Infinity when the kernel does not say.
   */
  receivedAt(slot: number): number {
    const stamps = this.#stamps, at = slot * STAMP;
    const said = (this.#headers[(slot * HEADER + CONTROL_LENGTH) / 4] ?? 0) >= STAMP &&
      stamps[(at + STAMP_TYPE) / 4] === SO_TIMESTAMPNS;
    if (!said) return Infinity;
    const seconds = (stamps[(at + SECONDS) / 4] ?? 0) + (stamps[(at + SECONDS + 4) / 4] ?? 0) * 2 ** 32;
    return seconds * 1000 + (stamps[(at + NANOSECONDS) / 4] ?? 0) / 1e6;
  }

  /** Octets to send from a slot, to where the frame in it says. */
  setLength(slot: number, octets: number): void {
    this.#headers[(slot * HEADER + NAME_LENGTH) / 4] = 0;
    this.#headers[(slot * HEADER + CONTROL_LENGTH) / 4] = 0;
    this.#iovecs[slot * (IOVEC / 4) + 2] = octets;
  }

  /**
   * Sends the first `count` slots; one that cannot be sent is passed over.
   * @returns how many the kernel did not take
   */
  send(fd: number, count: number): number {
    return sendSlots(fd, this.#pointers, 0, count);
  }
}
