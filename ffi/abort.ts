/** Ends a TCP connection whose peer may have stopped reading (shutdown(2)). */
import { libc } from "./libc.ts";

const SHUT_RDWR = 2;

/**
 * Ends both directions of a TCP connection, so that a pending write fails. close() of Deno 2.9.3 cancels reads only:
 * while a write waits for a client that does not read, the socket would stay open as long as that client likes.
 * Connections of other kinds are left alone.
 */
export function abortConnection(connection: Deno.Conn): void {
  const key = Object.getOwnPropertySymbols(connection).find(({ description }) =>
    description === "Deno.internal.fd"
  );
  const fd: unknown = key && Reflect.get(connection, key);
  // A connection that the client has closed meanwhile cannot be shut down, and need not be.
  if (typeof fd === "number") libc.shutdown(fd, SHUT_RDWR);
}
