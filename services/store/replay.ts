/** Reads again what etcd still has of its past: the events of all keys between two revisions, by a watch from an old revision. */
import { deadline } from "../common/async.ts";
import { Refusal } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import { callReason } from "./failure.ts";
import { decodeWatch, encodeWatchCreate, type WatchEvent } from "./messages.ts";

export interface Replay {
  /** The first revision that is wanted. */
  readonly from: number;
  /** The last one: a revision that a mirror has seen, so that there is an event of it. */
  readonly to: number;
  /** Called with each event, in the order of revisions. */
  readonly onEvent: (event: WatchEvent) => void;
  /** How long it may take, in ms, and how many bytes etcd may send. */
  readonly limits: { readonly ms: number; readonly bytes: number };
}

export interface Replayed {
  /** The first revision of which everything was read; the one behind `to` where nothing was. */
  readonly from: number;
  /** True: etcd has nothing from before that. */
  readonly isCompacted: boolean;
}

/** The error of a reading that takes longer, or is more, than it may. */
export class TooMuch extends Error {}

/**
 * Reads events of the past. etcd reads each revision since the first one for that, whatever keys are wanted, and a watch for a
 * part of the keys would not tell where its past ends: so all keys are watched, and the event of the last revision is the end.
 *
 * @throws TooMuch beyond the limits; Refusal "unavailable" where etcd does not answer, or compacts this past at that moment
 */
export async function replay(connection: EtcdConnection, wanted: Replay): Promise<Replayed> {
  const { from, to } = wanted;
  // The first revision of a store has no event.
  if (to < Math.max(from, 2)) return { from: Math.min(from, to + 1), isCompacted: false };
  const compacted = await readOnce(connection, wanted);
  if (compacted === undefined) return { from, isCompacted: from <= 1 };
  if (compacted >= to) return { from: to + 1, isCompacted: true };
  // Of the compacted revision itself etcd has left out what is not there any more.
  const first = compacted + 1, again = await readOnce(connection, { ...wanted, from: first });
  if (again !== undefined) throw new Refusal("unavailable", `etcd has just compacted revision ${again}`);
  return { from: first, isCompacted: true };
}

/** @returns the revision up to which etcd is compacted, where the first one that is wanted is gone */
async function readOnce(
  connection: EtcdConnection,
  { from, to, onEvent, limits }: Replay,
): Promise<number | undefined> {
  const { member, stream } = await connection.watch();
  const over = Promise.withResolvers<number | undefined>();
  let bytes = 0, isOver = false, any = false;
  stream.on("data", (message) => {
    if (isOver) return;
    try {
      const { compactRevision, canceled, cancelReason, fragment, events } = decodeWatch(message);
      if (compactRevision && !any) return over.resolve(compactRevision);
      if (canceled) throw new Refusal("unavailable", `etcd cancelled a watch: ${cancelReason}`);
      bytes += message.length;
      if (bytes > limits.bytes) throw new TooMuch(`more than ${limits.bytes} bytes`);
      for (const event of events) {
        any = true;
        if (event.kv.modRevision <= to) onEvent(event);
      }
      // A revision may come in fragments, and ends with the last of them.
      if (!fragment && (events.at(-1)?.kv.modRevision ?? 0) >= to) over.resolve(undefined);
    } catch (error) {
      over.reject(error);
    }
  });
  stream.on("error", (error) => {
    if (!isOver) connection.failed(member);
    over.reject(new Refusal("unavailable", `etcd cannot be watched: ${callReason(error)}`, { cause: error }));
  });
  stream.on("end", () => over.reject(new Refusal("unavailable", "etcd ended the watch")));
  stream.write(encodeWatchCreate("", from, 1));
  try {
    return await deadline(over.promise, limits.ms, () => {
      throw new TooMuch(`not within ${limits.ms} ms`);
    });
  } finally {
    isOver = true;
    stream.cancel();
  }
}
