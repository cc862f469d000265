import type { Duplex } from "node:stream";

/** How long a client may take to hear why it is refused, in ms. */
const PATIENCE = 2000;

/** Sends a last answer and closes: not before the client has, for unread bytes would have the system take it back. */
export function farewell(socket: Duplex, answer: string): void {
  const timer = setTimeout(() => socket.destroy(), PATIENCE);
  socket.once("close", () => clearTimeout(timer));
  // Nobody is left to be told.
  socket.on("error", () => socket.destroy());
  socket.removeAllListeners("data");
  socket.end(answer);
  socket.resume();
}
