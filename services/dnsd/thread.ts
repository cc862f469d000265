/**
 * The thread that answers DNS over UDP, from the main thread's side: what it serves is set here, and worker.ts does the work.
 */
import { EventFd } from "../../ffi/epoll.ts";
import { DnsCounters } from "./counters.ts";
import { ThreadLiveness } from "./thread_liveness.ts";
import { type Epochs, newEpochs } from "./table.ts";
import {
  FORWARDED,
  type ForwardedQuery,
  type FromWorker,
  SENT,
  type ServedSocket,
  type ToWorker,
} from "./worker.ts";

export interface ThreadOptions {
  /** The most queries that may be with the forwarder at once. */
  readonly maxForwarded: number;
  /** Called with each query that is to be forwarded; {@link AnsweringThread.forwarded} ends it. */
  readonly onForward: (query: ForwardedQuery) => void;
}

/** A thread that serves any number of sockets, each from one of any number of tables. */
export class AnsweringThread {
  readonly counters = new DnsCounters();
  /** For the writers of all tables. */
  readonly epochs: Epochs = newEpochs();
  readonly #options: ThreadOptions;
  readonly #wakeUp = new EventFd();
  readonly #pulse = new ThreadLiveness();
  readonly #pending = new Int32Array(new SharedArrayBuffer(8));
  /** By socket: how many of its queries are with the forwarder, where that is limited. */
  readonly #shares = new Map<number, Int32Array>();
  readonly #left = new Map<number, () => void>();
  #worker: Worker | undefined;
  #unsent: ToWorker[] = [];
  #onStopped: (() => void) | undefined;

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const worker = this.#worker = new Worker(new URL("./worker.ts", import.meta.url), {
      type: "module",
      name: "dns",
    });
    const started = Promise.withResolvers<void>();
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if ("forward" in data) { for (const query of data.forward) this.#options.onForward(query); }
      else if ("left" in data) this.#left.get(data.left)?.();
      else if ("started" in data) started.resolve();
      else this.#onStopped?.();
    };
    this.#send({
      start: {
        wakeUp: this.#wakeUp.fd,
        pending: this.#pending.buffer,
        pulse: this.#pulse.memory,
        epochs: this.epochs,
        counters: this.counters.row,
        maxForwarded: this.#options.maxForwarded,
      },
    });
    await started.promise;
  }

  /** Hands over a table's block; does nothing before the start. */
  setBlock(table: number, block: SharedArrayBuffer): void {
    this.#send({ table, block });
  }

  /**
   * Answers queries at a socket, which stays the caller's, from a table whose block is there.
   * @param most How many of its queries may be with the forwarder at once, beside the limit on all.
   */
  serve(socket: Omit<ServedSocket, "share">, most?: number): void {
    if (most === undefined) return this.#send({ serve: socket });
    const forwarded = new SharedArrayBuffer(4);
    this.#shares.set(socket.socket, new Int32Array(forwarded));
    this.#send({ serve: { ...socket, share: { most, forwarded } } });
  }

  /** Ends with a socket. Resolves when what had arrived there is answered, and the socket can be closed. */
  async leave(socket: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#left.set(socket, resolve);
    this.#send({ leave: socket });
    await promise;
    this.#left.delete(socket);
    this.#shares.delete(socket);
  }

  /** Forgets a table that no socket uses any more. */
  forget(table: number): void {
    this.#send({ forget: table });
  }

  /** Counts one more query as being with the forwarder. @returns false when there are too many, and it is not counted */
  forwarding(): boolean {
    if (Atomics.load(this.#pending, FORWARDED) >= this.#options.maxForwarded) return false;
    Atomics.add(this.#pending, FORWARDED, 1);
    return true;
  }

  /** One of the queries that were with the forwarder is done with. @param socket The UDP socket that it came in by. */
  forwarded(socket?: number): void {
    Atomics.sub(this.#pending, FORWARDED, 1);
    const share = socket === undefined ? undefined : this.#shares.get(socket);
    if (share) Atomics.sub(share, 0, 1);
  }

  /** Asks for a sign of life. @returns false when it has not given the last one */
  isAlive(): boolean {
    const isAlive = this.#pulse.probe();
    this.#wakeUp.signal();
    return isAlive;
  }

  /** Ends the thread; the sockets stay open. */
  async stop(): Promise<void> {
    if (this.#worker) {
      const stopped = new Promise<void>((resolve) => this.#onStopped = resolve);
      this.#send({ stop: true });
      await stopped;
      this.#worker.terminate();
    }
    this.#wakeUp.close();
  }

  /** Sends the worker a message, together with all others of this turn of the event loop, which may be thousands. */
  #send(message: ToWorker): void {
    if (!this.#worker) return;
    this.#unsent.push(message);
    if (this.#unsent.length === 1) queueMicrotask(() => this.#flush());
  }

  /** Sends what is due, and wakes the worker up: asleep in epoll it receives nothing. */
  #flush(): void {
    this.#worker?.postMessage(this.#unsent);
    this.#unsent = [];
    Atomics.add(this.#pending, SENT, 1);
    this.#wakeUp.signal();
  }
}
