/** Lists the network interfaces of this namespace with their addresses, and notifies of their changes. */
import { checked, ENOBUFS, errno } from "./errno.ts";
import { libc } from "./libc.ts";

const AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17;
const SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const RTMGRP_LINK = 1, RTMGRP_IPV4_IFADDR = 0x10, RTMGRP_IPV4_ROUTE = 0x40, RTMGRP_IPV6_IFADDR = 0x100;
const IFF_UP = 1;

/** A network interface of this thread's namespace. */
export interface Interface {
  readonly name: string;
  readonly index: number;
  readonly up: boolean;
  /** Six octets on Ethernet; other links have other lengths, or none. */
  readonly mac: Uint8Array;
  readonly addresses: readonly InterfaceAddress[];
}

export interface InterfaceAddress {
  /** 4 or 16 octets. */
  readonly bytes: Uint8Array;
  /** The prefix length of its subnet. */
  readonly prefix: number;
}

/** All interfaces of this thread's namespace with their addresses (getifaddrs(3)), by name. */
export function listInterfaces(): Map<string, Interface> {
  const head = new BigUint64Array(1);
  checked(libc.getifaddrs(head), "list the interfaces");
  const first = Deno.UnsafePointer.create(head[0] ?? 0n);
  try {
    const found = new Map<string, Interface & { addresses: InterfaceAddress[] }>();
    const later: (() => void)[] = [];
    for (let next = first; next !== null;) {
      // struct ifaddrs {next, name, u32 flags, addr, netmask, …}
      const entry = new Deno.UnsafePointerView(next);
      next = entry.getPointer(0);
      const nameAt = entry.getPointer(8), address = entry.getPointer(24);
      if (nameAt === null || address === null) continue;
      const name = Deno.UnsafePointerView.getCString(nameAt);
      const sockaddr = new Deno.UnsafePointerView(address);
      const family = sockaddr.getUint16(0);
      if (family === AF_PACKET) {
        // struct sockaddr_ll {u16 family, u16 protocol, i32 ifindex, u16 hatype, u8 pkttype, u8 halen, addr}
        const mac = octets(sockaddr, 12, Math.min(8, sockaddr.getUint8(11)));
        const up = (entry.getUint32(16) & IFF_UP) !== 0;
        found.set(name, { name, index: sockaddr.getInt32(4), up, mac, addresses: [] });
      } else if (family === AF_INET || family === AF_INET6) {
        const [at, length] = family === AF_INET ? [4, 4] : [8, 16];
        const maskAt = entry.getPointer(32);
        const mask = maskAt ? octets(new Deno.UnsafePointerView(maskAt), at, length) : new Uint8Array(0);
        // An address may carry the label of its interface: "eth0:1" is one of eth0's.
        const bytes = octets(sockaddr, at, length), owner = name.split(":", 1)[0] ?? name;
        later.push(() => found.get(owner)?.addresses.push({ bytes, prefix: ones(mask) }));
      }
    }
    // The links need not come before their addresses.
    for (const add of later) add();
    return found;
  } finally {
    libc.freeifaddrs(first);
  }
}

/**
 * Opens a socket that becomes readable when a link or an address changes in this thread's namespace (rtnetlink(7)).
 *
 * @param routes True: also when an IPv4 route changes.
 */
export function openInterfaceWatch({ routes = false } = {}): number {
  const fd = checked(
    libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    "open a netlink socket",
  );
  // struct sockaddr_nl {u16 family, u16 pad, u32 pid, u32 groups}
  const name = new Uint8Array(12);
  const view = new DataView(name.buffer);
  view.setUint16(0, AF_NETLINK, true);
  const groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | (routes ? RTMGRP_IPV4_ROUTE : 0);
  view.setUint32(8, groups, true);
  if (libc.bind(fd, name, name.length) < 0) {
    libc.close(fd);
    checked(-1, "watch the interfaces");
  }
  return fd;
}

/** The buffer for discarded notifications. */
const sink = new Uint8Array(65536);

/**
 * Discards the notifications of a watch: the caller reads the current state by {@link listInterfaces}. Returns whether
 * there were any.
 */
export function drainInterfaceWatch(fd: number): boolean {
  let changed = false;
  for (;;) {
    if (libc.read(fd, sink, sink.length) > 0) changed = true;
    // An overrun (ENOBUFS) only means that something changed, and is reported once.
    else if (errno() === ENOBUFS) changed = true;
    else return changed;
  }
}

function octets(view: Deno.UnsafePointerView, at: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => view.getUint8(at + i));
}

function ones(mask: Uint8Array): number {
  return mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}
