/** The promise's result, unless `stop` is aborted before; what comes after that is given to `undo`. */
export async function before<T>(
  stop: AbortSignal,
  promise: Promise<T>,
  undo: (late: T) => void = () => {},
): Promise<T> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const abort = () => {
    promise.then(undo, () => {});
    reject(stop.reason);
  };
  stop.addEventListener("abort", abort, { once: true });
  if (stop.aborted) abort();
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    stop.removeEventListener("abort", abort);
  }
}
