/** Sends datagrams to Unix sockets (unix(7)), as sd_notify(3) needs it; Deno 2.9.3 cannot do that by itself. */
import { checked } from "./errno.ts";
import { libc } from "./libc.ts";
import { AF_UNIX, socketName } from "./unix_name.ts";

const SOCK_DGRAM = 2, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;

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
