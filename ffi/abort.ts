/** Ends a connection whose peer may have stopped reading, or tells its peer that it broke (shutdown(2), connect(2)). */
import { libc } from "./libc.ts";

const SHUT_RDWR = 2;
/** A sockaddr of family AF_UNSPEC, which dissolves the association of a socket (connect(2)). */
const UNSPECIFIED = new Uint8Array(16);

/**
 * Ends both directions of a connection, so that a pending write fails. close() of Deno 2.9.3 cancels reads only: while a
 * write waits for a peer that does not read, the socket would stay open as long as that peer likes. The connection must
 * still be closed.
 *
 * @param reset True: a connection of TCP is aborted (RFC 9293 §3.10.5). What is unsent is discarded, and the peer reads
 *   an error where it would read an end, as if everything had arrived. A Unix socket knows no reset.
 */
export function abortConnection(connection: Deno.Conn, reset = false): void {
  const key = Object.getOwnPropertySymbols(connection).find(({ description }) =>
    description === "Deno.internal.fd"
  );
  const fd: unknown = key && Reflect.get(connection, key);
  // A connection that the peer has closed meanwhile cannot be ended, and need not be.
  if (typeof fd !== "number") return;
  if (!reset || libc.connect(fd, UNSPECIFIED, UNSPECIFIED.length) !== 0) libc.shutdown(fd, SHUT_RDWR);
}
