/** The timer of a call to etcd, which allows for a process that was stopped or busy. */

/** How late the timer may be, in ms: else an answer may have come that was not read yet, and it gets so much more time. */
const STALL_MS = 100, MORE_MS = 1_000;

/**
 * Calls `over` after `ms`, unless the returned function is called before that. Where this process was stopped or busy when
 * the time was over, it first gets the time to read what has come meanwhile.
 */
export function afterTime(ms: number, over: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const wait = (ms: number) => {
    const due = performance.now() + ms;
    timer = setTimeout(() => {
      if (performance.now() - due > STALL_MS) wait(MORE_MS);
      else over();
    }, ms);
  };
  wait(ms);
  return () => clearTimeout(timer);
}
