/** Datagrams to Unix sockets (unix(7)), which Deno 2.9.3 cannot send by itself: sd_notify(3) needs no more. */
import { checked } from "./errno.ts";
import { libc } from "./libc.ts";

const AF_UNIX = 1, SOCK_DGRAM = 2, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
/** Octets of sun_path. */
const LONGEST = 108;

/**
 * Sends one datagram without waiting: a receiver whose queue is full is an error.
 *
 * @param socket An absolute path, or `@NAME` for a name in the abstract namespace.
 * @throws SystemError when it cannot be sent, TypeError when `socket` is no such name.
 */
export function sendDatagram(socket: string, text: string): void {
  const name = socketName(socket), bytes = new TextEncoder().encode(text);
  const what = `send to ${socket}`;
  const fd = checked(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), what);
  try {
    checked(libc.sendto(fd, bytes, bytes.length, 0, name, name.length), what);
  } finally {
    libc.close(fd);
  }
}

/** struct sockaddr_un. The length of an abstract name counts: a NUL after it would be part of it. */
function socketName(socket: string): Uint8Array<ArrayBuffer> {
  const path = new TextEncoder().encode(socket.startsWith("@") ? `\0${socket.slice(1)}` : `${socket}\0`);
  if (!/^[/@]./.test(socket) || path.length > LONGEST) {
    throw new TypeError(
      `"${socket}" is no Unix socket: an absolute path or @NAME, of ${LONGEST - 1} octets at most, is wanted`,
    );
  }
  const name = new Uint8Array(2 + path.length);
  new DataView(name.buffer).setUint16(0, AF_UNIX, true);
  name.set(path, 2);
  return name;
}
