/**
 * The kernel's lock of all links (RTNL), under which it makes changes by rtnetlink(7), and the waits for it. A change that
 * takes the kernel microseconds is sent by the thread that wants it: handed to one of the pool and back it takes several
 * times the processor time, and where many programs want a processor it waits for its turn twice.
 */

/** After the lock was waited for so long, in ms, the threads of the pool wait for it for a while, in ms. */
const LONG = 20, WHILE = 10_000;

/** The waits for the lock, which are long where it is held for long at a time, as it is while many namespaces end. */
export class LockWaits {
  #untilThen = -Infinity;

  /** @param now A monotonic clock in ms. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** True while a thread with other things to do had better not wait for it. */
  get areLong(): boolean {
    return this.now() < this.#untilThen;
  }

  /** Makes a change that takes the lock, and notes how long that took. */
  note<T>(change: () => T): T {
    const began = this.now(), result = change();
    if (this.now() - began > LONG) this.#untilThen = this.now() + WHILE;
    return result;
  }
}

/** The waits of this process. */
export const lockWaits = new LockWaits();
