/** Limits how many nonblocking FFI calls are on Deno's thread pool at once, so that file and name lookups still get a thread. */

/**
 * How many calls of ours may be on the pool's threads at once: Deno has 32, for files and names too. The kernel
 * makes changes to the network one after another anyway.
 */
const limit = 4;
let running = 0;
const waiting: (() => void)[] = [];

/** Runs a nonblocking FFI call when it is its turn. */
export async function onPool<T>(call: () => Promise<T>): Promise<T> {
  if (running >= limit) await new Promise<void>((go) => waiting.push(go));
  else running++;
  try {
    return await call();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}
