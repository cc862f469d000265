import { checked } from "./errno.ts";
import { libc } from "./libc.ts";

const O_RDONLY = 0, O_CLOEXEC = 0x80000;
const CLONE_NEWNET = 0x40000000;

/** A path or name as C reads it. */
function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** Opens a network namespace by the path of its file. The caller closes the descriptor. */
export function openNamespace(path: string): number {
  return checked(libc.open(cString(path), O_RDONLY | O_CLOEXEC, 0), `open ${path}`);
}

const home = openNamespace("/proc/thread-self/ns/net");

/**
 * Runs `body` in another network namespace and comes back, whatever happens. Sockets made in it belong to that
 * namespace for good. `body` must be synchronous: a thread born inside would stay inside.
 */
export function inNamespace<T>(namespace: number, body: () => T): T {
  checked(libc.setns(namespace, CLONE_NEWNET), "enter a network namespace");
  try {
    const result = body();
    if (result instanceof Promise) throw new TypeError("inNamespace() takes a synchronous function");
    return result;
  } finally {
    checked(libc.setns(home, CLONE_NEWNET), "leave a network namespace");
  }
}
