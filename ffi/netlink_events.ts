/**
 * Reads notifications of rtnetlink(7) about changes in a network namespace. Those that say nothing about its settings
 * (misses of a vxlan device, MACs that a bridge has learned, neighbours that the kernel resolves by itself) are
 * dropped in the kernel by a BPF filter, since guests can cause any number of them.
 */
import { checked, EINTR, ENOBUFS, errno } from "./errno.ts";
import { interfaceIndex } from "./interface_index.ts";
import { libc } from "./libc.ts";
import {
  AF_INET,
  IFF_NOARP,
  IFF_UP,
  IFINFOMSG,
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  RTM_DELLINK,
  RTM_NEWLINK,
} from "./netlink_link.ts";
import { aligned, HEADER, readAttributes, readOctets, TYPE_MASK } from "./netlink_message.ts";
import { inNamespace } from "./netns.ts";
import { attachFilter, type Instruction } from "./packet.ts";

const AF_NETLINK = 16, SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1, SO_RCVBUFFORCE = 33;
const RTMGRP_LINK = 1, RTMGRP_NEIGH = 4, RTMGRP_IPV4_IFADDR = 0x10, RTMGRP_IPV6_IFADDR = 0x100;
const RTMGRP_IPV4_ROUTE = 0x40;
const SOL_NETLINK = 270, NETLINK_ADD_MEMBERSHIP = 1, NETLINK_DROP_MEMBERSHIP = 2, RTNLGRP_NEIGH = 3;
/** The size of the socket buffer; memory is used only while notifications wait to be read. */
const room = 512 << 10;

const RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_DELROUTE = 25, RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29;
const AF_BRIDGE = 7, NTF_SELF = 2, NUD_NOARP = 0x40, NUD_PERMANENT = 0x80;

/** Octets of struct ifaddrmsg and of struct ndmsg. */
const IFADDRMSG = 8, NDMSG = 12, IFA_ADDRESS = 1, NDA_DST = 1, NDA_LLADDR = 2;
const IFLA_PROTINFO = 12, IFBRPORT_STATE = 1, IFLA_BR_FDB_N_LEARNED = 48, IFF_LOWER_UP = 0x10000;

const LD_H_ABS = 0x28, LD_B_ABS = 0x30, JEQ = 0x15, JSET = 0x45, RET = 0x06;

/** Swaps 16 bits: classic BPF reads them in network order, while netlink uses the host's order, little-endian. */
const swapped = (value: number) => ((value & 0xff) << 8) | (value >> 8);

/** Offsets from the message's start: its type, and of struct ndmsg the family, the state and the flags. */
const TYPE = 4, FAMILY = HEADER, STATE = HEADER + 8, FLAGS = HEADER + 10;

const filter: readonly Instruction[] = [
  [LD_H_ABS, 0, 0, TYPE],
  [JEQ, 13, 0, swapped(RTM_NEWLINK)],
  [JEQ, 12, 0, swapped(RTM_DELLINK)],
  [JEQ, 11, 0, swapped(RTM_NEWADDR)],
  [JEQ, 10, 0, swapped(RTM_DELADDR)],
  [JEQ, 9, 0, swapped(RTM_DELROUTE)],
  [JEQ, 3, 0, swapped(RTM_NEWNEIGH)],
  [JEQ, 0, 6, swapped(RTM_DELNEIGH)],
  // Deletions in an ARP table pass the filter: the kernel reports a deleted permanent entry in state failed.
  [LD_B_ABS, 0, 0, FAMILY],
  [JEQ, 0, 5, AF_BRIDGE],
  [LD_B_ABS, 0, 0, FLAGS],
  [JSET, 3, 0, NTF_SELF],
  [LD_H_ABS, 0, 0, STATE],
  [JSET, 1, 0, swapped(NUD_NOARP | NUD_PERMANENT)],
  [RET, 0, 0, 0],
  [RET, 0, 0, 0xffffffff],
];

/** A notification. */
export type Notice =
  | {
    readonly about: "link";
    readonly index: number;
    readonly name: string;
    readonly kind: string;
    /** True: the link was deleted, or has left the namespace. */
    readonly gone: boolean;
    readonly carrier: boolean;
    /** A hash of the link's settings, without carrier and counters. */
    readonly settings: number;
  }
  /** A link as the port of a bridge. */
  | { readonly about: "port"; readonly index: number; readonly gone: boolean; readonly settings: number }
  | { readonly about: "address"; readonly address: Uint8Array }
  /** An IPv4 route was deleted. */
  | { readonly about: "route"; readonly prefix: number }
  /** An entry of a link's ARP table (IPv4), or of its forwarding table, `fdb`, by the value of address or MAC. */
  | { readonly about: "arp" | "fdb"; readonly index: number; readonly key: number; readonly gone: boolean }
  /** A permanent entry of a bridge's own forwarding table. */
  | { readonly about: "bridge"; readonly index: number };

/** One buffer for all sockets: each message is evaluated before the next read. */
const buffer = new Uint8Array(64 << 10);
const view = new DataView(buffer.buffer);

/**
 * A socket that receives notifications of one network namespace, and keeps that namespace alive until it is closed.
 * It becomes readable when there are any.
 */
export class NetlinkEvents implements Disposable {
  readonly fd: number;
  #closed = false;

  /** @param namespace A descriptor, which is not needed after the call. */
  constructor(namespace: number) {
    this.fd = inNamespace(namespace, open);
  }

  /**
   * Reads all pending notifications, without waiting.
   * @returns false when the socket's buffer overflowed
   */
  read(take: (notice: Notice) => void): boolean {
    let whole = true;
    while (!this.#closed) {
      const length = libc.recv(this.fd, buffer, buffer.length, 0);
      if (length > 0) walk(length, take);
      else {
        const code = length < 0 ? errno() : 0;
        if (code === ENOBUFS) whole = false;
        else if (code !== EINTR) break;
      }
    }
    return whole;
  }

  /** The index of a link of the namespace; 0 when there is none. */
  index(name: string): number {
    return interfaceIndex(this.fd, name);
  }

  /** Subscribes to notifications of neighbours or unsubscribes: there is one for each entry that is set. */
  subscribeNeighbours(on: boolean): void {
    const option = on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;
    const result = libc.setsockopt(this.fd, SOL_NETLINK, option, Int32Array.of(RTNLGRP_NEIGH), 4);
    checked(result, "choose the notifications of a network namespace");
  }

  close(): void {
    if (!this.#closed) libc.close(this.fd);
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function walk(length: number, take: (notice: Notice) => void): void {
  for (let at = 0; length - at >= HEADER;) {
    const size = view.getUint32(at, true);
    if (size < HEADER || size > length - at) return;
    const notice = readNotice(view.getUint16(at + 4, true), at + HEADER, at + size);
    if (notice) take(notice);
    at += aligned(size);
  }
}

/** Reads a message from `from` (after its header) to `to`; undefined for one without information. */
function readNotice(type: number, from: number, to: number): Notice | undefined {
  const family = view.getUint8(from);
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      if (to - from < IFINFOMSG) return undefined;
      return family === AF_BRIDGE ? readPort(type, from, to) : readLink(type, from, to);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return {
        about: "address",
        address: readOctets(readAttributes(view, from + IFADDRMSG, to).get(IFA_ADDRESS)),
      };
    case RTM_DELROUTE:
      return { about: "route", prefix: view.getUint8(from + 1) };
    default:
      return to - from < NDMSG ? undefined : readNeighbour(type, family, from, to);
  }
}

/** Attributes that are settings of a link. */
const SETTINGS: ReadonlySet<number> = new Set([
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_MTU,
  IFLA_LINK,
  IFLA_MASTER,
  IFLA_LINK_NETNSID,
]);

/** Each endpoint causes a dozen of these, so no object or text is created for an attribute. */
function readLink(type: number, from: number, to: number): Notice {
  const flags = view.getUint32(from + 8, true);
  let settings = hashed(HASH, flags & (IFF_UP | IFF_NOARP)), name = "", kind = "";
  for (let at = from + IFINFOMSG, next; (next = nextAttribute(at, to)); at = next) {
    const attribute = attributeAt(at), length = lengthAt(at);
    if (SETTINGS.has(attribute)) settings = withAttribute(settings, at);
    if (attribute === IFLA_IFNAME) name = textAt(at + 4, length - 1);
    if (attribute !== IFLA_LINKINFO) continue;
    for (let in1 = at + 4, end1 = in1 + length, next1; (next1 = nextAttribute(in1, end1)); in1 = next1) {
      const attribute = attributeAt(in1), length = lengthAt(in1);
      if (attribute === IFLA_INFO_KIND) {
        kind = textAt(in1 + 4, length - 1);
        settings = withAttribute(settings, in1);
      }
      if (attribute !== IFLA_INFO_DATA) continue;
      for (let in2 = in1 + 4, end2 = in2 + length, next2; (next2 = nextAttribute(in2, end2)); in2 = next2) {
        // A bridge's timers, which are 64 bits wide, and its count of learned MACs change by themselves.
        if (kind !== "bridge" || lengthAt(in2) <= 4 && attributeAt(in2) !== IFLA_BR_FDB_N_LEARNED) {
          settings = withAttribute(settings, in2);
        }
      }
    }
  }
  return {
    about: "link",
    index: view.getInt32(from + 4, true),
    name,
    kind,
    gone: type === RTM_DELLINK,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    settings,
  };
}

/** The end of the attribute at an offset, where the next one begins; 0 when there is none before `to`. */
function nextAttribute(at: number, to: number): number {
  if (to - at < 4) return 0;
  const length = view.getUint16(at, true);
  return length < 4 || length > to - at ? 0 : at + aligned(length);
}

function attributeAt(at: number): number {
  return view.getUint16(at + 2, true) & TYPE_MASK;
}

/** The length of an attribute's payload. */
function lengthAt(at: number): number {
  return view.getUint16(at, true) - 4;
}

/** Octets as a text of one character each, which is also that of a name in ASCII. */
function textAt(at: number, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(buffer[at + i]!);
  return text;
}

/** The offset basis of 32-bit FNV-1a (RFC 9923), whose hashes differ for two values that differ in one octet. */
const HASH = 0x811c9dc5;

function hashed(hash: number, octet: number): number {
  return Math.imul(hash ^ octet, 0x01000193);
}

/** Updates the hash with an attribute's length, type and payload. */
function withAttribute(hash: number, at: number): number {
  for (let i = at, end = at + 4 + lengthAt(at); i < end; i++) hash = hashed(hash, buffer[i]!);
  return hash;
}

/** Reads a bridge port. Its settings are numbers of 8 bits, except IFBRPORT_STATE, which follows the carrier. */
function readPort(type: number, from: number, to: number): Notice {
  let settings = HASH;
  for (let at = from + IFINFOMSG, next; (next = nextAttribute(at, to)); at = next) {
    if (attributeAt(at) !== IFLA_PROTINFO) continue;
    for (
      let in1 = at + 4, end1 = in1 + lengthAt(at), next1;
      (next1 = nextAttribute(in1, end1));
      in1 = next1
    ) {
      if (lengthAt(in1) === 1 && attributeAt(in1) !== IFBRPORT_STATE) settings = withAttribute(settings, in1);
    }
  }
  return { about: "port", index: view.getInt32(from + 4, true), gone: type === RTM_DELLINK, settings };
}

function readNeighbour(type: number, family: number, from: number, to: number): Notice | undefined {
  const index = view.getInt32(from + 4, true), flags = view.getUint8(from + 10);
  if (family === AF_BRIDGE && !(flags & NTF_SELF)) return { about: "bridge", index };
  const about = family === AF_BRIDGE ? "fdb" : "arp", attribute = about === "fdb" ? NDA_LLADDR : NDA_DST;
  const width = about === "fdb" ? 6 : 4;
  if (about === "arp" && family !== AF_INET) return undefined;
  for (let at = from + NDMSG; to - at >= 4;) {
    const length = view.getUint16(at, true);
    if (length < 4 || length > to - at) break;
    if (view.getUint16(at + 2, true) === attribute && length === 4 + width) {
      const key = width === 4
        ? view.getUint32(at + 4)
        : view.getUint16(at + 4) * 2 ** 32 + view.getUint32(at + 6);
      return { about, index, key, gone: type === RTM_DELNEIGH };
    }
    at += aligned(length);
  }
  return undefined;
}

function open(): number {
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = checked(libc.socket(AF_NETLINK, type, 0), "open a netlink socket");
  try {
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, Int32Array.of(room), 4);
    attachFilter(fd, filter);
    // struct sockaddr_nl {u16 family, u16 pad, u32 pid, u32 groups}
    const name = new Uint8Array(12), view = new DataView(name.buffer);
    const groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE;
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, groups, true);
    checked(libc.bind(fd, name, name.length), "subscribe to notifications of a network namespace");
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}
