import { messageOf } from "../common/refusal.ts";
import type { Connection } from "./connection.ts";
import { decodeWatch, encodeWatchCreate, type WatchEvent, type WatchResponse } from "./messages.ts";

/** The watch cannot be trusted, or cannot go on from where it was: everything has to be listed anew. */
export class Doubt extends Error {}

/** What to follow, and from where. */
export interface Watched {
  readonly prefix: string;
  /** The first revision whose events are wanted. */
  readonly from: number;
}

export interface WatchHandlers {
  /** Every watcher stands: from here on nothing should be missing. */
  created(): void;
  /** All events that `watched[index]` saw in one or several whole revisions, in order. */
  events(index: number, events: readonly WatchEvent[]): void;
}

/**
 * Follows prefixes on one raw Watch stream until that fails or `interrupted` rejects, and throws why:
 * {@link Doubt} for compacted history, a cancelled watcher, another cluster or a revision that went back.
 *
 * @param clusterId The cluster that was listed.
 */
export async function watch(
  connection: Connection,
  watched: readonly Watched[],
  clusterId: bigint | undefined,
  handlers: WatchHandlers,
  interrupted: Promise<never>,
): Promise<never> {
  const { member, stream } = await connection.watch();
  const ended = Promise.withResolvers<never>();
  const responses = new Responses(watched.length, clusterId, handlers);
  stream.on("data", (bytes) => {
    try {
      responses.take(decodeWatch(bytes));
    } catch (error) {
      ended.reject(error instanceof Doubt ? error : new Doubt(messageOf(error), { cause: error }));
    }
  });
  stream.on("error", (error) => {
    connection.failed(member);
    ended.reject(error);
  });
  stream.on("end", () => ended.reject(new Error("etcd ended the watch")));
  // The id is ours to choose; 0 would let etcd choose.
  watched.forEach(({ prefix, from }, i) => stream.write(encodeWatchCreate(prefix, from, i + 1)));
  try {
    return await Promise.race([ended.promise, interrupted]);
  } finally {
    stream.cancel();
  }
}

/** Makes sense of what comes back on one stream. */
export class Responses {
  readonly #watchers: { created: boolean; header: number; pending: WatchEvent[] }[];

  constructor(
    count: number,
    private readonly clusterId: bigint | undefined,
    private readonly handlers: WatchHandlers,
  ) {
    this.#watchers = Array.from({ length: count }, () => ({ created: false, header: 0, pending: [] }));
  }

  /** Takes one response in. Throws {@link Doubt}. */
  take(response: WatchResponse): void {
    const { header, watchId, compactRevision } = response;
    if (header.clusterId !== this.clusterId) throw new Doubt("another cluster answers");
    const watcher = this.#watchers[watchId - 1];
    if (!watcher) return; // a progress report on the stream as a whole
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
      if (this.#watchers.every(({ created }) => created)) this.handlers.created();
    }
    // The rest of the revision follows: half of it must not be seen.
    watcher.pending.push(...response.events);
    if (response.fragment || !watcher.pending.length) return;
    const events = watcher.pending;
    watcher.pending = [];
    this.handlers.events(watchId - 1, events);
  }
}
