/** Resolves after `ms`, or at once when `signal` is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const timer = setTimeout(wake, ms);
  signal?.addEventListener("abort", wake);
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", wake);
}

/** Runs `task` again and again, `next()` ms after it last ended, until the returned function is called. */
export function repeat(next: () => number, task: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const again = () => {
    timer = setTimeout(() => task().finally(() => stopped || again()), next());
  };
  again();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
