/** Looks at intervals for what has taken too long, with allowance for a process that was stopped or busy. */

/**
 * Calls `check` every `ms` milliseconds, until the returned function is called.
 *
 * Where the process was stopped or busy for longer than that, what its peers sent meanwhile has not been read yet, and a check
 * would blame them for the time: it is left out then, but never twice in a row, so that a busy process has its limits too.
 */
export function checkEvery(ms: number, check: () => void): () => void {
  let due = performance.now() + ms, isLeftOut = false;
  const timer = setInterval(() => {
    const now = performance.now();
    isLeftOut = now - due > ms && !isLeftOut;
    due = now + ms;
    if (!isLeftOut) check();
  }, ms);
  return () => clearInterval(timer);
}
