/**
 * The thread that answers DNS over UDP, for any number of sockets, each from a table: it sleeps in epoll, receives up to 64
 * queries at once, answers each in its own buffer, and sends the answers together. It receives no messages of the main thread
 * while it sleeps, so the sender of one increments the `pending` counter and then signals the wake-up eventfd; thread.ts does.
 */
import { Epoll, EventFd } from "../../ffi/epoll.ts";
import { libc } from "../../ffi/libc.ts";
import { UdpBatch } from "../../ffi/udp.ts";
import { Answerer, DROP, FORWARD } from "./answer.ts";
import { COUNTER, DnsCounters } from "./counters.ts";
import { ThreadLiveness } from "./thread_liveness.ts";
import { type Epochs, ReaderEpoch, TableReader } from "./table.ts";
import { UDP_MAX } from "./wire.ts";

/** The data with which the worker is started. */
export interface WorkerStart {
  readonly wakeUp: number;
  readonly pending: SharedArrayBuffer;
  readonly pulse: SharedArrayBuffer;
  /** The epochs that all tables share. */
  readonly epochs: Epochs;
  readonly counters: SharedArrayBuffer;
  /** The most queries that may be with the forwarder at once. */
  readonly maxForwarded: number;
}

/** A bound socket, and the table from which its queries are answered. */
export interface ServedSocket {
  /** Any number of 32 bits but the largest one. */
  readonly socket: number;
  readonly fd: number;
  readonly table: number;
  /** True: queries that the table has no zone for are forwarded; false: they are refused. */
  readonly recursion: boolean;
  /** How many of its queries may be with the forwarder at once, and the word that counts them; undefined: as many as of all. */
  readonly share?: { readonly most: number; readonly forwarded: SharedArrayBuffer } | undefined;
}

export type ToWorker =
  | { start: WorkerStart }
  /** A new table, or the new block of one. */
  | { table: number; block: SharedArrayBuffer }
  | { serve: ServedSocket }
  /** Ends with a socket after all queries that it has now: {left} says when. */
  | { leave: number }
  /** No socket uses the table any more. */
  | { forget: number }
  | { stop: true };

/** A query for the forwarder, with its socket, its sender and the local address that it was sent to. */
export interface ForwardedQuery {
  readonly socket: number;
  readonly origin: Uint8Array<ArrayBuffer>;
  readonly query: Uint8Array<ArrayBuffer>;
}

export type FromWorker = { started: true } | { left: number } | { stopped: true } | {
  forward: ForwardedQuery[];
};

/** Words of `pending`: messages sent to the worker so far, and queries that are with the forwarder. */
export const SENT = 0, FORWARDED = 1;

// TypeScript types the global scope as a window's.
const scope = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: (event: MessageEvent<readonly ToWorker[]>) => void;
  close(): void;
};

const SLOTS = 64, SLOT_SIZE = 4096;
/** How many batches are taken from a socket that is left; its buffer holds no more. */
const MOST_LAST_BATCHES = 256;
/**
 * After MANY queries at once more are on their way, and for as long as it is at least SOME: the thread sleeps for PAUSE, in
 * µs, and then takes what has come together. The kernel adds up to 50 µs (prctl(2), PR_SET_TIMERSLACK). With 200 queries under
 * way an answer takes 15 to 25 % less processor time and comes no later; a single client that waits for each answer before its
 * next query is kept waiting once at most. With one threshold for both, a thread that had once taken few would go on taking
 * few, and more often: with 200 under way half of the time.
 */
const MANY = 8, SOME = 2, PAUSE = 20;
const WAKE_UP = 0xffffffff;

/** A table, whose reader changes when it grows. */
interface Table {
  reader: TableReader;
}

interface Served extends Omit<ServedSocket, "table" | "share"> {
  readonly table: Table;
  readonly share: { readonly most: number; readonly forwarded: Int32Array } | undefined;
}

class Server {
  readonly #start: WorkerStart;
  readonly #tables = new Map<number, Table>();
  readonly #sockets = new Map<number, Served>();
  /** Made with the first table. */
  #answerer: Answerer | undefined;
  readonly #epoch: ReaderEpoch;
  readonly #counters: DnsCounters;
  readonly #pending: Int32Array;
  readonly #wakeUp: EventFd;
  readonly #pulse: ThreadLiveness;
  readonly #epoll = new Epoll();
  readonly #batch = new UdpBatch(SLOTS, SLOT_SIZE);

  constructor(start: WorkerStart) {
    this.#start = start;
    this.#epoch = new ReaderEpoch(start.epochs, 0);
    this.#counters = new DnsCounters(start.counters);
    this.#pending = new Int32Array(start.pending);
    this.#wakeUp = new EventFd(start.wakeUp);
    this.#pulse = new ThreadLiveness(start.pulse);
    this.#epoll.add(start.wakeUp, WAKE_UP);
  }

  setBlock(id: number, block: SharedArrayBuffer): void {
    const reader = new TableReader(block), table = this.#tables.get(id);
    if (table) table.reader = reader;
    else this.#tables.set(id, { reader });
    this.#answerer ??= new Answerer(reader, false);
  }

  serve({ socket, fd, table: id, recursion, share: its }: ServedSocket): void {
    const table = this.#tables.get(id);
    if (!table) throw new Error(`there is no table ${id}`);
    const share = its && { most: its.most, forwarded: new Int32Array(its.forwarded) };
    this.#sockets.set(socket, { socket, fd, table, recursion, share });
    this.#epoll.add(fd, socket);
  }

  /** Answers what has arrived at a socket, and ends with it. */
  leave(socket: number): void {
    const served = this.#sockets.get(socket);
    if (!served) return;
    this.#epoch.enter();
    // A client that goes on asking must not hold this up.
    for (let batches = 0; batches < MOST_LAST_BATCHES && this.#serve(served) > 0;) batches++;
    this.#epoch.leave();
    this.#sockets.delete(socket);
    this.#epoll.remove(served.fd);
  }

  forget(table: number): void {
    this.#tables.delete(table);
  }

  /** Serves until there is a message from the main thread. @param seen messages that have been read */
  run(seen: number): void {
    /** Received since the last wait. */
    let queries = 0;
    /** True while more queries are expected at once. */
    let isBusy = false;
    while (Atomics.load(this.#pending, SENT) <= seen) {
      this.#epoch.leave();
      isBusy = queries >= (isBusy ? SOME : MANY);
      if (isBusy && queries < SLOTS) libc.usleep(PAUSE);
      const count = this.#epoll.wait(-1);
      this.#epoch.enter();
      queries = 0;
      for (let i = 0; i < count; i++) {
        const token = this.#epoll.token(i);
        if (token === WAKE_UP) {
          this.#wakeUp.drain();
          this.#pulse.answer();
          continue;
        }
        const served = this.#sockets.get(token);
        if (served) queries += this.#serve(served);
      }
    }
    this.#epoch.leave();
  }

  /** Answers one batch; epoll says so when there is more. @returns how many queries it had */
  #serve(served: Served): number {
    const { fd, table, recursion } = served;
    const batch = this.#batch, { buffer } = batch, counters = this.#counters;
    const answerer = this.#answerer!;
    answerer.table = table.reader;
    answerer.recursion = recursion;
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
        const query = this.#forward(served, i, buffer.slice(at, at + length));
        if (query) (forward ??= []).push(query);
      }
    }
    if (count > first) this.#send(fd, first, count - first);
    if (forward) scope.postMessage({ forward });
    return count;
  }

  #send(fd: number, first: number, count: number): void {
    const failed = this.#batch.send(fd, first, count);
    if (failed > 0) this.#counters.add(COUNTER.unsent, failed);
  }

  #forward(
    { socket, share }: Served,
    slot: number,
    query: Uint8Array<ArrayBuffer>,
  ): ForwardedQuery | undefined {
    const isOver = share && Atomics.load(share.forwarded, 0) >= share.most;
    if (isOver || Atomics.load(this.#pending, FORWARDED) >= this.#start.maxForwarded) {
      this.#counters.add(COUNTER.overload);
      return undefined;
    }
    Atomics.add(this.#pending, FORWARDED, 1);
    if (share) Atomics.add(share.forwarded, 0, 1);
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
  for (const message of data) take(message);
  server?.run(seen);
};

function take(message: ToWorker): void {
  if ("start" in message) {
    server = new Server(message.start);
    scope.postMessage({ started: true });
  } else if ("block" in message) server?.setBlock(message.table, message.block);
  else if ("serve" in message) server?.serve(message.serve);
  else if ("leave" in message) {
    server?.leave(message.leave);
    scope.postMessage({ left: message.leave });
  } else if ("forget" in message) server?.forget(message.forget);
  else {
    server?.stop();
    server = undefined;
    scope.postMessage({ stopped: true });
    scope.close();
  }
}
