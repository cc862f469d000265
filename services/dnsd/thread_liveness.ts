/** A heartbeat in shared memory by which the main thread sees that the thread that answers DNS still runs. */

/** Words of the memory: how often was asked, and the last question that was answered. */
const PROBES = 0, ANSWERED = 1;

/** One of two ends of the same memory. */
export class ThreadLiveness {
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.#words = new Int32Array(memory);
  }

  /** Asks again. @returns true when the last question was answered; also for the first one */
  probe(): boolean {
    const probes = Atomics.add(this.#words, PROBES, 1);
    return Atomics.load(this.#words, ANSWERED) === probes;
  }

  answer(): void {
    Atomics.store(this.#words, ANSWERED, Atomics.load(this.#words, PROBES));
  }
}
