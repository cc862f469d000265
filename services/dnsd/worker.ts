/**
 * The thread that answers DNS over UDP: it sleeps in epoll, receives up to 64 queries at once, answers each in its own buffer,
 * and sends the answers together. It receives no messages of the main thread while it sleeps, so the sender of one increments
 * the `pending` counter and then signals the wake-up eventfd.
 */
import { Epoll, EventFd } from "../../ffi/epoll.ts";
import { UdpBatch } from "../../ffi/udp.ts";
import { Answerer, DROP, FORWARD } from "./answer.ts";
import { COUNTER, Counters } from "./counters.ts";
import { Pulse } from "./pulse.ts";
import { type Epochs, ReaderEpoch, TableReader } from "./table.ts";
import { UDP_MAX } from "./wire.ts";

/** What the worker is started with. */
export interface WorkerStart {
  readonly sockets: readonly number[];
  readonly wakeUp: number;
  readonly pending: SharedArrayBuffer;
  readonly pulse: SharedArrayBuffer;
  readonly block: SharedArrayBuffer;
  readonly epochs: Epochs;
  readonly counters: SharedArrayBuffer;
  readonly recursion: boolean;
  /** The most queries that may be with the forwarder at once. */
  readonly maxForwarded: number;
}

export type ToWorker = { start: WorkerStart } | { block: SharedArrayBuffer } | { stop: true };

/** A query for the forwarder, with its socket, its sender and the local address that it was sent to. */
export interface ForwardedQuery {
  readonly socket: number;
  readonly origin: Uint8Array<ArrayBuffer>;
  readonly query: Uint8Array<ArrayBuffer>;
}

export type FromWorker = { started: true } | { stopped: true } | { forward: ForwardedQuery[] };

/** Words of `pending`: messages sent to the worker so far, and queries that are with the forwarder. */
export const SENT = 0, FORWARDED = 1;

// TypeScript types the global scope as a window's.
const scope = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: (event: MessageEvent<ToWorker>) => void;
  close(): void;
};

const SLOTS = 64, SLOT_SIZE = 4096;
const WAKE_UP = 0xffffffff;

class Server {
  readonly #start: WorkerStart;
  readonly #answerer: Answerer;
  readonly #epoch: ReaderEpoch;
  readonly #counters: Counters;
  readonly #pending: Int32Array;
  readonly #wakeUp: EventFd;
  readonly #pulse: Pulse;
  readonly #epoll = new Epoll();
  readonly #batch = new UdpBatch(SLOTS, SLOT_SIZE);

  constructor(start: WorkerStart) {
    this.#start = start;
    this.#answerer = new Answerer(new TableReader(start.block), start.recursion);
    this.#epoch = new ReaderEpoch(start.epochs, 0);
    this.#counters = new Counters(start.counters);
    this.#pending = new Int32Array(start.pending);
    this.#wakeUp = new EventFd(start.wakeUp);
    this.#pulse = new Pulse(start.pulse);
    this.#epoll.add(start.wakeUp, WAKE_UP);
    start.sockets.forEach((fd, i) => this.#epoll.add(fd, i));
  }

  setBlock(block: SharedArrayBuffer): void {
    this.#answerer.table = new TableReader(block);
  }

  /** Serves until there is a message from the main thread. @param seen messages that have been read */
  run(seen: number): void {
    while (Atomics.load(this.#pending, SENT) <= seen) {
      this.#epoch.leave();
      const count = this.#epoll.wait(-1);
      this.#epoch.enter();
      for (let i = 0; i < count; i++) {
        const token = this.#epoll.token(i);
        if (token !== WAKE_UP) this.#serve(token);
        else {
          this.#wakeUp.drain();
          this.#pulse.answer();
        }
      }
    }
    this.#epoch.leave();
  }

  /** Answers one batch; epoll says so when there is more. */
  #serve(socket: number): void {
    const fd = this.#start.sockets[socket] ?? -1;
    const batch = this.#batch, { buffer } = batch, answerer = this.#answerer, counters = this.#counters;
    const count = batch.receive(fd);
    // Counted before a client has an answer and may read the counters next.
    counters.add(COUNTER.queries, count);
    let first = 0;
    let forward: ForwardedQuery[] | undefined;
    for (let i = 0; i < count; i++) {
      const length = batch.length(i), at = i * SLOT_SIZE;
      const answered = answerer.answer(buffer, at, length, UDP_MAX, true);
      if (answered > 0) {
        batch.setLength(i, answered);
        counters.answered(answerer.rcode);
        if (answerer.truncated) counters.add(COUNTER.truncated);
        continue;
      }
      // A slot without an answer ends the run of answers that are sent together.
      if (i > first) this.#send(fd, first, i - first);
      first = i + 1;
      if (answered === DROP) counters.add(COUNTER.dropped);
      else if (answered === FORWARD) {
        const query = this.#forward(socket, i, buffer.slice(at, at + length));
        if (query) (forward ??= []).push(query);
      }
    }
    if (count > first) this.#send(fd, first, count - first);
    if (forward) scope.postMessage({ forward });
  }

  #send(fd: number, first: number, count: number): void {
    const failed = this.#batch.send(fd, first, count);
    if (failed > 0) this.#counters.add(COUNTER.unsent, failed);
  }

  #forward(socket: number, slot: number, query: Uint8Array<ArrayBuffer>): ForwardedQuery | undefined {
    if (Atomics.load(this.#pending, FORWARDED) >= this.#start.maxForwarded) {
      this.#counters.add(COUNTER.overload);
      return undefined;
    }
    Atomics.add(this.#pending, FORWARDED, 1);
    this.#counters.add(COUNTER.forwarded);
    return { socket, origin: this.#batch.origin(slot), query };
  }

  stop(): void {
    this.#epoll.close();
  }
}

let server: Server | undefined;
let seen = 0;

scope.onmessage = ({ data }) => {
  seen++;
  if ("start" in data) {
    server = new Server(data.start);
    scope.postMessage({ started: true });
  } else if ("block" in data) server?.setBlock(data.block);
  else {
    server?.stop();
    scope.postMessage({ stopped: true });
    scope.close();
    return;
  }
  server?.run(seen);
};
