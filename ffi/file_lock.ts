/** Locks a file (flock(2)); the lock ends with the process that holds it, also after a crash. */
import { checked, EAGAIN, EINTR, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";

const O_RDWR = 2, O_CREAT = 0o100, O_CLOEXEC = 0o2000000;
const LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8;

/** A lock that this process holds. Several locks in one process exclude each other too. */
export interface FileLock extends Disposable {
  /** The kernel's identity of the file: two paths with the same identity are one file. */
  readonly identity: string;
}

/**
 * Locks the file, and creates it (mode 0600) where it does not exist.
 *
 * @returns undefined while another process holds the lock
 * @throws SystemError when the file cannot be opened or locked at all
 */
export function tryLock(path: string): FileLock | undefined {
  const name = new TextEncoder().encode(`${path}\0`);
  const fd = checked(libc.open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600), `open ${path}`);
  for (;;) {
    if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) break;
    const reason = errno();
    if (reason === EINTR) continue;
    libc.close(fd);
    if (reason === EAGAIN) return undefined;
    throw new SystemError(`lock ${path}`, reason);
  }
  // The descriptor is used, since the path may name another file by now.
  const { dev, ino } = Deno.statSync(`/proc/self/fd/${fd}`);
  const dispose = () => {
    // A process that is being started right now still has a copy of the descriptor, which would keep the lock.
    libc.flock(fd, LOCK_UN);
    libc.close(fd);
  };
  return { identity: `${dev}:${ino}`, [Symbol.dispose]: dispose };
}
