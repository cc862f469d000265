/** Watches several parts of etcd over one gRPC stream, with checks that no event is missing. */
import { abortable } from "../common/async.ts";
import { messageOf } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import type { EtcdMember } from "./member.ts";
import type { RawStream } from "./raw_stream.ts";
import {
  decodeWatch,
  encodeWatchCancel,
  encodeWatchCreate,
  type WatchEvent,
  type WatchResponse,
} from "./messages.ts";
import type { FollowedPart } from "./followed_parts.ts";

/** The watch is unreliable, or cannot go on from its last revision: everything has to be listed again. */
export class RelistNeeded extends Error {}

export interface WatchHandlers {
  /** etcd has confirmed every watcher for the first time: no event should be missing from here on. */
  created(): void;
  /** All events of the part in one or several whole revisions, in order. */
  events(part: FollowedPart, events: readonly WatchEvent[]): void;
}

/** Follows parts on one raw Watch stream. */
export class Watch {
  readonly #stream: RawStream;
  readonly #responses: Responses;
  /** Aborted with the reason when the watch ends. */
  readonly #ended = new AbortController();
  /** Set when this side cancels the watch: its failure says nothing about the member then. */
  #cancelled = false;

  /** @param clusterId The cluster that was listed. */
  static async open(
    connection: EtcdConnection,
    clusterId: bigint | undefined,
    handlers: WatchHandlers,
  ): Promise<Watch> {
    const { member, stream } = await connection.watch();
    return new Watch(member, stream, new Responses(clusterId, handlers), () => connection.failed(member));
  }

  private constructor(
    /** The member that is watched. */
    readonly member: EtcdMember,
    stream: RawStream,
    responses: Responses,
    failed: () => void,
  ) {
    this.#stream = stream;
    this.#responses = responses;
    stream.on("data", (bytes) => {
      try {
        responses.take(decodeWatch(bytes));
      } catch (error) {
        this.#ended.abort(
          error instanceof RelistNeeded ? error : new RelistNeeded(messageOf(error), { cause: error }),
        );
      }
    });
    stream.on("error", (error) => {
      if (!this.#cancelled) failed();
      this.#ended.abort(error);
    });
    stream.on("end", () => this.#ended.abort(new Error("etcd ended the watch")));
  }

  /** Follows a part from the revision behind the last one seen of it. */
  add(part: FollowedPart): void {
    this.#stream.write(encodeWatchCreate(part.prefix, part.seen + 1, this.#responses.add(part)));
  }

  /** Stops following the part: no event of it is reported any more. */
  remove(part: FollowedPart): void {
    const watchId = this.#responses.remove(part);
    if (watchId !== undefined) this.#stream.write(encodeWatchCancel(watchId));
  }

  /** True once etcd has confirmed every watcher that was added at the beginning. */
  get created(): boolean {
    return this.#responses.created;
  }

  /** True when the watched member has applied this revision; false also when it does not answer. */
  async hasReached(revision: number): Promise<boolean> {
    return await this.member.revision().then((own) => own >= revision, () => false);
  }

  /**
   * Runs until the watch fails or `interrupted` rejects, and throws the reason: {@link RelistNeeded} for compacted history, a
   * cancelled watcher, another cluster or a revision that went back.
   */
  async run(interrupted: Promise<never>): Promise<never> {
    try {
      return await abortable(interrupted, this.#ended.signal);
    } finally {
      this.#responses.clear();
      this.#cancelled = true;
      this.#stream.cancel();
    }
  }
}

interface Watcher {
  readonly part: FollowedPart;
  created: boolean;
  /** The newest revision in the header of a response to this watcher. */
  header: number;
  pending: WatchEvent[];
}

/** Assigns the responses of one stream to its watchers, and checks them. */
export class Responses {
  readonly #watchers = new Map<number, Watcher>();
  readonly #ids = new Map<FollowedPart, number>();
  /** The client chooses the watch ids; 0 would let etcd choose. None is used twice, so that late responses match no watcher. */
  #lastId = 0;
  #uncreated = 0;
  #told = false;

  constructor(private readonly clusterId: bigint | undefined, private readonly handlers: WatchHandlers) {}

  /** True once etcd has confirmed every watcher that was added at the beginning. */
  get created(): boolean {
    return this.#told;
  }

  /** Returns the watcher's id. */
  add(part: FollowedPart): number {
    const id = ++this.#lastId;
    this.#ids.set(part, id);
    this.#watchers.set(id, { part, created: false, header: 0, pending: [] });
    this.#uncreated++;
    return id;
  }

  /** Returns the id that the watcher had; undefined when there is none. */
  remove(part: FollowedPart): number | undefined {
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

  /** Processes one response. Throws {@link RelistNeeded}. */
  take(response: WatchResponse): void {
    const { header, watchId, compactRevision } = response;
    if (header.clusterId !== this.clusterId) throw new RelistNeeded("another cluster answers");
    const watcher = this.#watchers.get(watchId);
    if (!watcher) return; // It was removed.
    if (compactRevision) {
      throw new RelistNeeded(`history before revision ${compactRevision} was compacted away`);
    }
    if (response.canceled) {
      throw new RelistNeeded(`etcd cancelled the watch: ${response.cancelReason || "no reason given"}`);
    }
    if (header.revision < watcher.header) {
      throw new RelistNeeded(`the watch went back to revision ${header.revision}`);
    }
    watcher.header = header.revision;
    if (response.created && !watcher.created) {
      watcher.created = true;
      this.#uncreated--;
      this.#tell();
    }
    // A fragment is kept until the rest of its revision has come: the handlers get whole revisions only.
    watcher.pending.push(...response.events);
    if (response.fragment || !watcher.pending.length) return;
    const events = watcher.pending;
    watcher.pending = [];
    this.handlers.events(watcher.part, events);
  }

  #tell(): void {
    if (this.#told || this.#uncreated) return;
    this.#told = true;
    this.handlers.created();
  }
}
