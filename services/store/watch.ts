import { deadline } from "../common/async.ts";
import { messageOf } from "../common/refusal.ts";
import type { Connection } from "./connection.ts";
import type { Member, RawStream } from "./member.ts";
import {
  decodeWatch,
  encodeWatchCancel,
  encodeWatchCreate,
  encodeWatchProgress,
  type WatchEvent,
  type WatchResponse,
} from "./messages.ts";
import type { Part } from "./parts.ts";
import { Rounds } from "./rounds.ts";

/** The watch cannot be trusted, or cannot go on from where it was: everything has to be listed anew. */
export class Doubt extends Error {}

export interface WatchHandlers {
  /** Every watcher stands for the first time: from here on nothing should be missing. */
  created(): void;
  /** All events of the part in one or several whole revisions, in order. */
  events(part: Part, events: readonly WatchEvent[]): void;
}

/** How long etcd may take to bring a new watcher up to date, in ms, and to say how far it has come. */
const CATCH_UP_MS = 500, PROGRESS_MS = 500;
/** How often it is asked that in a row. */
const MOST_ASKED = 1000;

/** Follows parts on one raw Watch stream. */
export class Watch {
  readonly #stream: RawStream;
  readonly #responses: Responses;
  readonly #ended = Promise.withResolvers<never>();
  readonly #told = new Rounds(() => this.#askTold());
  /** Nothing is wrong with the member when a watch fails that was cancelled here. */
  #cancelled = false;

  /** @param clusterId The cluster that was listed. */
  static async open(
    connection: Connection,
    clusterId: bigint | undefined,
    handlers: WatchHandlers,
  ): Promise<Watch> {
    const { member, stream } = await connection.watch();
    return new Watch(member, stream, new Responses(clusterId, handlers), () => connection.failed(member));
  }

  private constructor(
    /** The member that is watched. */
    readonly member: Member,
    stream: RawStream,
    responses: Responses,
    failed: () => void,
  ) {
    this.#stream = stream;
    this.#responses = responses;
    this.#ended.promise.catch(() => {}); // It may come before anybody asks.
    stream.on("data", (bytes) => {
      try {
        responses.take(decodeWatch(bytes));
      } catch (error) {
        this.#ended.reject(error instanceof Doubt ? error : new Doubt(messageOf(error), { cause: error }));
      }
    });
    stream.on("error", (error) => {
      if (!this.#cancelled) failed();
      this.#ended.reject(error);
    });
    stream.on("end", () => this.#ended.reject(new Error("etcd ended the watch")));
  }

  /** Follows a part from the revision behind the last one seen of it. */
  add(part: Part): void {
    this.#stream.write(encodeWatchCreate(part.prefix, part.seen + 1, this.#responses.add(part)));
  }

  /** Nothing more is told of the part from here on. */
  remove(part: Part): void {
    const watchId = this.#responses.remove(part);
    if (watchId !== undefined) this.#stream.write(encodeWatchCancel(watchId));
  }

  /** Every watcher stands. */
  get created(): boolean {
    return this.#responses.created;
  }

  /** True when the member that is watched has come as far as this revision; false also when it does not answer. */
  async hasReached(revision: number): Promise<boolean> {
    return await this.member.revision().then((own) => own >= revision, () => false);
  }

  /**
   * True when etcd says that it has told every event up to this revision; false when it does not say so yet: one that has
   * still to catch up may say nothing. Rejects when the watch ends.
   */
  async hasTold(revision: number): Promise<boolean> {
    return await this.#told.next() >= revision;
  }

  /** Up to which revision etcd says that it has told every event; 0 when it does not say. */
  async #askTold(): Promise<number> {
    // etcd before 3.4.26 and 3.5.9 (its issue 15220) also says so while a new watcher catches up, which it does every 100 ms,
    // and ahead of events that it is about to send: of these, one at least is here when it answers what was asked after that.
    if (performance.now() - this.#responses.complete < CATCH_UP_MS) return 0;
    const first = await this.#progress(), asked = this.#responses.asked;
    let owed = this.#responses.owe(first);
    // Where earlier answers were late, the next ones may be those.
    for (let second = first, tries = MOST_ASKED; second && tries; second = await this.#progress(), tries--) {
      const { answered, late } = this.#responses;
      if (answered > asked && late === owed) return Math.min(first, second);
      owed = late;
    }
    return 0;
  }

  async #progress(): Promise<number> {
    const told = this.#responses.progress();
    this.#stream.write(encodeWatchProgress());
    return await deadline(Promise.race([told, this.#ended.promise]), PROGRESS_MS, () => 0);
  }

  /**
   * Goes on until that fails or `interrupted` rejects, and throws why: {@link Doubt} for compacted history, a cancelled
   * watcher, another cluster or a revision that went back.
   */
  async run(interrupted: Promise<never>): Promise<never> {
    try {
      return await Promise.race([this.#ended.promise, interrupted]);
    } finally {
      this.#responses.clear();
      this.#cancelled = true;
      this.#stream.cancel();
    }
  }
}

interface Watcher {
  readonly part: Part;
  created: boolean;
  /** The newest revision that a response had in its header. */
  header: number;
  pending: WatchEvent[];
}

/** Makes sense of what comes back on one stream. */
export class Responses {
  readonly #watchers = new Map<number, Watcher>();
  readonly #ids = new Map<Part, number>();
  /** Ids are ours to choose; 0 would let etcd choose. None is used twice: what is said of a former one is nobody's. */
  #lastId = 0;
  #uncreated = 0;
  #told = false;
  #youngest = 0;
  #asked = 0;
  #answered = 0;
  #progress: PromiseWithResolvers<number> | undefined;
  #owed = 0;
  #late = 0;

  constructor(private readonly clusterId: bigint | undefined, private readonly handlers: WatchHandlers) {}

  /** Every watcher that was there at the beginning stands. */
  get created(): boolean {
    return this.#told;
  }

  /** Since when all watchers have stood (performance.now()); Infinity while one does not. */
  get complete(): number {
    return this.#uncreated ? Infinity : this.#youngest;
  }

  /** How many reports on the stream as a whole were asked for. */
  get asked(): number {
    return this.#asked;
  }

  /**
   * How many have come. They come in the order in which they were asked for, though new versions of etcd leave some out: the
   * last one answers the request of this number, or a later one.
   */
  get answered(): number {
    return this.#answered;
  }

  /** Counts events up to this revision from now on, of which etcd has said that it has told all. Returns {@link late}. */
  owe(revision: number): number {
    this.#owed = revision;
    return this.#late;
  }

  /** How many responses had events that were to be here already, see {@link owe}. */
  get late(): number {
    return this.#late;
  }

  /** Notes that another one is asked for. Resolves with the revision of the next that comes. */
  progress(): Promise<number> {
    this.#asked++;
    this.#progress ??= Promise.withResolvers();
    return this.#progress.promise;
  }

  /** Returns the watcher's id. */
  add(part: Part): number {
    const id = ++this.#lastId;
    this.#ids.set(part, id);
    this.#watchers.set(id, { part, created: false, header: 0, pending: [] });
    this.#uncreated++;
    return id;
  }

  /** Returns the id that the watcher had; undefined when there is none. */
  remove(part: Part): number | undefined {
    const id = this.#ids.get(part);
    if (id === undefined) return undefined;
    if (this.#watchers.get(id)?.created === false) this.#uncreated--;
    this.#ids.delete(part);
    this.#watchers.delete(id);
    this.#tell();
    return id;
  }

  clear(): void {
    this.#ids.clear();
    this.#watchers.clear();
  }

  /** Takes one response in. Throws {@link Doubt}. */
  take(response: WatchResponse): void {
    const { header, watchId, compactRevision } = response;
    if (header.clusterId !== this.clusterId) throw new Doubt("another cluster answers");
    const watcher = this.#watchers.get(watchId);
    if (!watcher) {
      // About a watcher that was removed, or else a report on the stream as a whole.
      const removed = watchId > 0 && watchId <= this.#lastId;
      if (!removed && !response.created && !response.canceled) this.#report(header.revision);
      return;
    }
    if (compactRevision) throw new Doubt(`history before revision ${compactRevision} was compacted away`);
    if (response.canceled) {
      throw new Doubt(`etcd cancelled the watch: ${response.cancelReason || "no reason given"}`);
    }
    if (header.revision < watcher.header) {
      throw new Doubt(`the watch went back to revision ${header.revision}`);
    }
    watcher.header = header.revision;
    if (response.created && !watcher.created) {
      watcher.created = true;
      this.#youngest = performance.now();
      this.#uncreated--;
      this.#tell();
    }
    if (response.events.some(({ kv }) => kv.modRevision <= this.#owed)) this.#late++;
    // The rest of the revision follows: half of it must not be seen.
    watcher.pending.push(...response.events);
    if (response.fragment || !watcher.pending.length) return;
    const events = watcher.pending;
    watcher.pending = [];
    this.handlers.events(watcher.part, events);
  }

  #report(revision: number): void {
    if (this.#answered < this.#asked) this.#answered++;
    this.#progress?.resolve(revision);
    this.#progress = undefined;
  }

  #tell(): void {
    if (this.#told || this.#uncreated) return;
    this.#told = true;
    this.handlers.created();
  }
}
