/** Opens listening TCP sockets as descriptors, which can be handed to another process. */
import { checked } from "./errno.ts";
import { libc } from "./libc.ts";
import { sockaddr } from "./udp.ts";

const AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_REUSEPORT = 15, IPPROTO_IP = 0, IP_FREEBIND = 15;
/** Connections that wait to be accepted. */
const BACKLOG = 128;

/**
 * A listening socket, not blocking. Others of this user's may listen at the same address and port, and share the connections;
 * the address need not be this host's yet.
 *
 * @param address 4 or 16 octets
 * @throws SystemError, naming `what`
 */
export function listenTcp(address: Uint8Array, port: number, what: string): number {
  const family = address.length === 4 ? AF_INET : AF_INET6;
  const fd = checked(
    libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    `open a socket for ${what}`,
  );
  try {
    for (
      const [level, option] of [[SOL_SOCKET, SO_REUSEADDR], [SOL_SOCKET, SO_REUSEPORT], [
        IPPROTO_IP,
        IP_FREEBIND,
      ]] as const
    ) {
      checked(libc.setsockopt(fd, level, option, Int32Array.of(1), 4), `listen on ${what}`);
    }
    const name = sockaddr(address, port);
    checked(libc.bind(fd, name, name.length), `listen on ${what}`);
    checked(libc.listen(fd, BACKLOG), `listen on ${what}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}
