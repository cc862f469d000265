/** Aborts a connection: a pending write fails, and a peer by TCP is told by a reset (connect(2), shutdown(2)). */
import { libc } from "./libc.ts";

const SHUT_RDWR = 2;

/** A sockaddr of family AF_UNSPEC, which dissolves the association of a socket (connect(2)). */
const UNSPECIFIED = new Uint8Array(16);

/**
 * Aborts a connection of TCP as RFC 9293 §3.10.5 says: what is unsent is discarded, and the peer reads an error where
 * close() would have it read an end, as if everything had arrived. The pending write of a peer that does not read fails
 * too: close() of Deno 2.9.3 cancels reads only, and the socket would stay open as long as that peer likes.
 * A Unix socket knows no reset: both directions end. The connection must still be closed.
 */
export function abortConnection(connection: Deno.Conn): void {
  const key = Object.getOwnPropertySymbols(connection).find(({ description }) =>
    description === "Deno.internal.fd"
  );
  const fd: unknown = key && Reflect.get(connection, key);
  // A connection that the peer has closed meanwhile cannot be aborted, and need not be.
  if (typeof fd !== "number") return;
  if (libc.connect(fd, UNSPECIFIED, UNSPECIFIED.length) !== 0) libc.shutdown(fd, SHUT_RDWR);
}
