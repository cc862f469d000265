/**
 * Helpers for promises, timers and abort signals: waits that can be aborted or limited, tasks that run one after
 * another, and repeated tasks. None of them leaves a timer or a listener behind.
 */

/** Resolves after `ms`, or at once when `signal` is aborted. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const timer = setTimeout(wake, ms);
  signal?.addEventListener("abort", wake);
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", wake);
}

/** Resolves when `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

/** The result of `promise`, or undefined as soon as `signal` is aborted. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const stopped = Promise.withResolvers<undefined>(), stop = () => stopped.resolve(undefined);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([promise, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** The result of `promise` or, when that takes longer than `ms`, what `late` returns or throws. */
export async function deadline<T, L = undefined>(
  promise: Promise<T>,
  ms: number,
  late: () => L = () => undefined as L,
): Promise<T | L> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  try {
    return await Promise.race([promise, over.promise.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A signal that is aborted after a time, unless it is disposed of before. AbortSignal.timeout() lives until then and
 * fires although nothing waits for it any more, which often costs more than the awaited work.
 */
export class TimeLimit implements Disposable {
  readonly #over = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(ms: number) {
    const late = () => this.#over.abort(new DOMException(`not within ${ms} ms`, "TimeoutError"));
    this.#timer = setTimeout(late, ms);
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/**
 * The result of `promise`, or the reason of `signal` as soon as that is aborted.
 *
 * @param discard Called with a result that came too late, to release what it holds.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  discard: (late: T) => void = () => {},
): Promise<T> {
  if (!signal) return await promise;
  // Promise.withResolvers() is not in Node 20, for which the agent's client is packed too.
  let abort = () => {};
  const stopped = new Promise<never>((_, reject) => {
    abort = () => {
      promise.then(discard, () => {});
      reject(signal.reason);
    };
  });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Runs tasks one after another, in the order in which they were given. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** @returns what the task returns or throws, which concerns no other task */
  run<T>(task: () => T | Promise<T>): Promise<T> {
    const turn = this.#last.then(task);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** Runs tasks of one key one after another, and those of different keys at once. */
export class KeyedMutex {
  readonly #last = new Map<string, Promise<unknown>>();

  /** @returns what the task returns or throws, which concerns no other task */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(task);
    const settled = turn.then(() => {}, () => {}).then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    this.#last.set(key, settled);
    return turn;
  }

  /** True while a task of the key runs or waits. */
  has(key: string): boolean {
    return this.#last.has(key);
  }
}

/** Runs a limited number of tasks at once; the others wait in the order in which they were given, urgent ones first. */
export class Limit {
  readonly #urgent: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];

  /** @param free How many more tasks may run now: at first, how many may run at once. */
  constructor(private free: number) {}

  /** @returns what the task returns or throws, which concerns no other task */
  async run<T>(task: () => Promise<T>, isUrgent = false): Promise<T> {
    if (this.free > 0) this.free--;
    // One that ends passes its place on.
    else await new Promise<void>((resolve) => (isUrgent ? this.#urgent : this.#waiting).push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#urgent.shift() ?? this.#waiting.shift();
      if (next) next();
      else this.free++;
    }
  }
}

/**
 * Runs `task`, which handles its own errors, `next()` ms after this call and after each end of it.
 *
 * @param next The next pause in ms, by how often it has run.
 * @returns a function that ends this; it resolves when a running task has ended
 */
export function repeat(next: (runs: number) => number, task: () => Promise<void>): () => Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined,
    running = Promise.resolve(),
    stopped = false,
    runs = 0;
  const schedule = () => {
    timer = setTimeout(() => running = task().finally(() => stopped || schedule()), next(runs++));
  };
  schedule();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}

/**
 * The pauses for {@link repeat} with which a task begins at once and then every `ms`, unless it takes longer than that.
 *
 * @param now The time in ms, from any beginning.
 */
export function everyFromNow(ms: number, now = () => performance.now()): () => number {
  let due = now();
  return () => {
    const at = now(), pause = Math.max(0, due - at);
    due = Math.max(due, at) + ms;
    return pause;
  };
}

/** A promise that may be rejected while nothing waits for it. */
export function unobserved<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => {});
  return resolvers;
}
