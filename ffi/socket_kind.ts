/** Reads the kind of a socket whose descriptor another process has handed over (socket(7)). */
import { libc } from "./libc.ts";

const SOL_SOCKET = 1, SO_TYPE = 3, SO_ACCEPTCONN = 30, SO_PROTOCOL = 38, SO_DOMAIN = 39;
const AF_PACKET = 17, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, IPPROTO_TCP = 6, IPPROTO_UDP = 17;

/** True for a UDP socket. */
export function isUdp(fd: number): boolean {
  return option(fd, SO_TYPE) === SOCK_DGRAM && option(fd, SO_PROTOCOL) === IPPROTO_UDP;
}

/** True for a TCP socket that listens. */
export function isListeningTcp(fd: number): boolean {
  return option(fd, SO_TYPE) === SOCK_STREAM && option(fd, SO_PROTOCOL) === IPPROTO_TCP &&
    option(fd, SO_ACCEPTCONN) === 1;
}

/** A packet(7) socket that takes whole frames. */
export function isPacket(fd: number): boolean {
  return option(fd, SO_DOMAIN) === AF_PACKET && option(fd, SO_TYPE) === SOCK_RAW;
}

/** Undefined where it is no socket. */
function option(fd: number, name: number): number | undefined {
  const value = new Int32Array(1);
  return libc.getsockopt(fd, SOL_SOCKET, name, value, Uint32Array.of(4)) < 0 ? undefined : value[0];
}
