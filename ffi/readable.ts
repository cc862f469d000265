/** Waits for an epoll descriptor without blocking the main isolate. */
import type { Epoll } from "./epoll.ts";
import { libcNonblocking } from "./libc.ts";

// The largest struct epoll_event; kept so that it lives as long as the kernel may write to it.
const events = new WeakMap<Epoll, Uint8Array<ArrayBuffer>>();

/**
 * Resolves when something that `epoll` watches is ready, without blocking the isolate: for the main isolate.
 * What is ready is then asked of the epoll itself, with a timeout of 0.
 */
export async function readable(epoll: Epoll): Promise<void> {
  let event = events.get(epoll);
  if (!event) events.set(epoll, event = new Uint8Array(16));
  await libcNonblocking.epoll_wait(epoll.fd, event, 1, -1);
}
