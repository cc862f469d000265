/** Lists the UDP sockets of a network namespace that are bound to a port, with the interface of each. */
import { libc } from "./libc.ts";

const AF_INET = 2, AF_NETLINK = 16, NETLINK_SOCK_DIAG = 4;
const SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const IPPROTO_UDP = 17;
const SOCK_DIAG_BY_FAMILY = 20, NLM_F_REQUEST_AND_DUMP = 0x301;
const NLMSG_ERROR = 2, NLMSG_DONE = 3;
const HEADER = 16, REQUEST = 56;

export interface UdpOwner {
  /** The index of the interface that it is bound to (SO_BINDTODEVICE); 0: none, so that it receives by all. */
  readonly ifindex: number;
  /** The socket's, as fstat(2) has it. */
  readonly inode: number;
}

/**
 * The IPv4 sockets on a UDP port in this thread's network namespace, from the kernel's sock_diag(7).
 * @returns undefined when the kernel does not tell: it has no udp_diag, or a sandbox forbids it
 */
export function udpOwners(port: number): UdpOwner[] | undefined {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return undefined;
  try {
    // struct nlmsghdr {u32 length, u16 type, u16 flags, u32 sequence, u32 port}, then inet_diag_req_v2
    // {u8 family, u8 protocol, u8 extensions, u8 pad, u32 states, inet_diag_sockid {u16 sport, …}}
    const request = new Uint8Array(HEADER + REQUEST), view = new DataView(request.buffer);
    view.setUint32(0, request.length, true);
    view.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
    view.setUint16(6, NLM_F_REQUEST_AND_DUMP, true);
    request[HEADER] = AF_INET;
    request[HEADER + 1] = IPPROTO_UDP;
    view.setUint32(HEADER + 4, 0xffffffff, true);
    view.setUint16(HEADER + 8, port);
    if (libc.send(fd, request, request.length, 0) < 0) return undefined;
    const owners: UdpOwner[] = [], bytes = new Uint8Array(32_768);
    for (;;) {
      const length = libc.recv(fd, bytes, bytes.length, 0);
      if (length < 0) return undefined;
      const reply = new DataView(bytes.buffer, 0, length);
      for (let at = 0; at + HEADER <= length;) {
        const size = reply.getUint32(at, true), type = reply.getUint16(at + 4, true);
        if (type === NLMSG_DONE) return owners;
        if (type === NLMSG_ERROR || size < HEADER) return undefined;
        // struct inet_diag_msg {u8 family, state, timer, retrans, inet_diag_sockid {u16 sport, u16 dport, src[16],
        // dst[16], u32 ifindex, u32 cookie[2]}, u32 expires, rqueue, wqueue, uid, inode}
        const message = at + HEADER;
        if (reply.getUint16(message + 4) === port) {
          owners.push({
            ifindex: reply.getUint32(message + 40, true),
            inode: reply.getUint32(message + 68, true),
          });
        }
        at += (size + 3) & ~3;
      }
    }
  } finally {
    libc.close(fd);
  }
}
