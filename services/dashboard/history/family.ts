/** The records of one store: how they are read, and what their changes tell of machines. */
import { readKey } from "../../store/keys.ts";
import { type NexRecord, nexSchema } from "../../store/records.ts";
import type { SandKeys } from "../../store/sand_keys.ts";
import { type SandRecord, sandSchema } from "../../store/sand_records.ts";
import type { Change, Mirror, Schema } from "../../store/types.ts";
import { lanEvent } from "./lan.ts";
import { overlayEvent } from "./overlay.ts";
import type { Told } from "./told.ts";

const decoder = new TextDecoder();

/** A mirror of records, as far as events are made of it. */
export type FollowedRecords<T> = Pick<Mirror<T>, "ready" | "subscribe" | "state" | "get">;

export interface HistoryListener {
  /** Called with what a change tells, and with its key and revision. */
  onEvent(event: Told, key: string, revision: number): void;
  /** Called when the store was put back to a revision before the one that was listed first. */
  onRestored(): void;
}

export interface HistorySource {
  /** The revision that was listed when it began to be followed; undefined before that. What came later is told by the mirror. */
  readonly since: number | undefined;
  /** True: its events are made of records under this key. */
  has(key: string): boolean;
  /** Undefined: it cannot be read, or tells nothing. */
  parse(key: string, value: Uint8Array): unknown;
  /** See overlayEvent(). */
  event(before: unknown, after: unknown, isKnown: boolean): Told | undefined;
  /** The revisions of a record that is there. */
  entry(key: string): { readonly createRevision: number; readonly modRevision: number } | undefined;
}

/** Follows a mirror from its first listing on. */
class Followable<T> implements HistorySource {
  #since: number | undefined;

  constructor(
    private readonly mirror: FollowedRecords<T>,
    private readonly schema: Schema<T>,
    readonly has: (key: string) => boolean,
    private readonly tell: (
      before: T | undefined,
      after: T | undefined,
      isKnown?: boolean,
    ) => Told | undefined,
    private readonly listener: HistoryListener,
  ) {
    // A mirror that is closed before it has listed tells nothing.
    mirror.ready().then(() => {
      this.#since = mirror.state.revision;
      mirror.subscribe((changes) => {
        for (const change of changes) this.#take(change);
      });
    }, () => {});
  }

  get since(): number | undefined {
    // Of a store that was put back to an older revision the mirror has that.
    return this.#since && Math.min(this.#since, this.mirror.state.revision);
  }

  parse(key: string, value: Uint8Array): T | undefined {
    try {
      return this.schema.parse(key, decoder.decode(value));
    } catch {
      // The mirror reports records that cannot be read.
      return undefined;
    }
  }

  event(before: unknown, after: unknown, isKnown: boolean): Told | undefined {
    // Both are of parse().
    return this.tell(before as T | undefined, after as T | undefined, isKnown);
  }

  entry(key: string) {
    return this.mirror.get(key);
  }

  #take({ key, before, after, revision }: Change<T>): void {
    if (revision < (this.#since ?? 0)) {
      this.#since = this.mirror.state.revision;
      this.listener.onRestored();
    }
    // What another store had until it was listed is read of its past.
    if (revision <= (this.#since ?? 0) || !this.has(key)) return;
    const event = this.tell(before?.record, after?.record);
    if (event) this.listener.onEvent(event, key, revision);
  }
}

/** The kinds of records that tell of machines. */
const ofLan = new Set<string | undefined>([
  ...["member", "further-member", "newer-member", "member-of", "withheld"],
]);
const ofOverlays = new Set<string | undefined>([
  ...["network-endpoint", "reservation", "held-address", "withheld-address"],
]);

/** Members and leases of networks of a LAN. */
export function lanFamily(mirror: FollowedRecords<NexRecord>, listener: HistoryListener): HistorySource {
  const has = (key: string) => ofLan.has(readKey(key)?.kind);
  return new Followable(mirror, nexSchema, has, lanEvent, listener);
}

/** Endpoints, reservations and addresses of overlay networks. */
export function overlayFamily(
  mirror: FollowedRecords<SandRecord>,
  keys: SandKeys,
  listener: HistoryListener,
): HistorySource {
  const has = (key: string) => ofOverlays.has(keys.read(key)?.kind);
  return new Followable(mirror, sandSchema(keys), has, overlayEvent, listener);
}
