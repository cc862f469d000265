/**
 * Sends ICMP echo requests over IPv4 (RFC 792) through a raw socket, with any size, and reads incoming echo packets.
 */
import { checked, EAGAIN, EINTR, EMSGSIZE, ENOBUFS, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { inNamespace } from "./netns.ts";

const AF_INET = 2, SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000, IPPROTO_ICMP = 1;
const SOL_SOCKET = 1, SO_RCVBUFFORCE = 33, IPPROTO_IP = 0, IP_MTU_DISCOVER = 10, IP_PMTUDISC_PROBE = 3;
const ECHO_REPLY = 0, ECHO = 8;
/** Octets of an IPv4 header without options, and of an ICMP header. */
const IP = 20, ICMP = 8;

/** The least and the most octets of a packet that {@link EchoSocket.send} can send. */
export const smallestEcho = IP + ICMP + 8, largestEcho = 65_000;

/** An echo packet that came in. */
export interface Echo {
  readonly kind: "question" | "answer";
  /** Its source address, as a 32-bit value; it may be forged. */
  readonly from: number;
  /** The token of the request; arbitrary in other hosts' packets. */
  readonly token: number;
  /** Octets of the whole IPv4 packet. */
  readonly size: number;
}

/**
 * A socket in a network namespace for echo requests, which are answered by the kernel of the host that they reach. It
 * never blocks, and its packets are never fragmented: the kernel's path MTU is ignored.
 */
export class EchoSocket implements Disposable {
  readonly #fd: number;
  readonly #sent = new Uint8Array(largestEcho);
  readonly #view = new DataView(this.#sent.buffer);
  readonly #received = new Uint8Array(2048);
  readonly #name = new Uint8Array(16);

  /** @param namespace A descriptor, which is not needed after the call. */
  constructor(namespace: number) {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#fd = inNamespace(
      namespace,
      () => checked(libc.socket(AF_INET, type, IPPROTO_ICMP), "open a socket for ICMP"),
    );
    libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, Int32Array.of(4 << 20), 4);
    libc.setsockopt(this.#fd, IPPROTO_IP, IP_MTU_DISCOVER, Int32Array.of(IP_PMTUDISC_PROBE), 4);
    new DataView(this.#name.buffer).setUint16(0, AF_INET, true);
  }

  /**
   * Sends an echo request.
   *
   * @param to The address as a 32-bit value.
   * @param token 32 bits by which the answer is recognised.
   * @param size Octets of the whole IPv4 packet, from {@link smallestEcho} to {@link largestEcho}.
   * @returns false when the socket's buffer is full
   * @throws RangeError for another size; SystemError when the namespace has no route to the address
   */
  send(to: number, token: number, size: number): boolean {
    // The kernel reads the given number of bytes, also beyond the end of the buffer.
    if (!(size >= smallestEcho && size <= largestEcho)) {
      throw new RangeError(`size: ${size} is not from ${smallestEcho} to ${largestEcho} octets`);
    }
    const view = this.#view, length = size - IP;
    this.#sent[0] = ECHO;
    view.setUint16(2, 0);
    view.setUint32(ICMP, token);
    view.setUint32(ICMP + 4, ~token);
    view.setUint16(2, checksum(view, ICMP + 8));
    new DataView(this.#name.buffer).setUint32(4, to);
    // sendto() may return the pending error of an earlier packet, which any host's ICMP can cause: it is reported once.
    for (let tries = 0;; tries++) {
      const sent = libc.sendto(this.#fd, this.#sent, length, 0, this.#name, this.#name.length);
      if (sent >= 0) return true;
      const code = errno();
      if (code === EAGAIN || code === EINTR || code === ENOBUFS) return false;
      // The packet cannot leave this host, which counts like a loss on the way.
      if (code === EMSGSIZE) return true;
      if (tries > 0) throw new SystemError("send an echo request", code);
    }
  }

  /** Reads at most `limit` incoming packets. Others than echo packets, and those that are too short, are ignored. */
  read(limit: number, take: (echo: Echo) => void): void {
    const octets = this.#received, view = new DataView(octets.buffer);
    for (let i = 0; i < limit; i++) {
      const length = libc.recv(this.#fd, octets, octets.length, 0);
      if (length < 0) {
        if (errno() === EAGAIN) return;
        continue;
      }
      const at = (octets[0]! & 15) * 4;
      if (length < at + ICMP + 8) continue;
      const type = octets[at], token = view.getUint32(at + ICMP);
      if (type !== ECHO && type !== ECHO_REPLY) continue;
      const kind = type === ECHO ? "question" : "answer";
      take({ kind, from: view.getUint32(12), token, size: view.getUint16(2) });
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** RFC 1071, over the first `length` octets: all that follow are zero. */
function checksum(view: DataView, length: number): number {
  let sum = 0;
  for (let at = 0; at < length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
