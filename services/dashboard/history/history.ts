/**
 * Events of machines: those that this process has seen since its start, those before that which etcd still has, and the earlier
 * versions of records that are there. Nothing of it is stored: another dashboard, or one that is started again, asks etcd.
 */
import { deadline } from "../../common/async.ts";
import { messageOf } from "../../common/refusal.ts";
import type { EtcdConnection } from "../../store/connection.ts";
import type { NexRecord } from "../../store/records.ts";
import type { SandKeys } from "../../store/sand_keys.ts";
import type { SandRecord } from "../../store/sand_records.ts";
import { versionsOf } from "../../store/versions.ts";
import { type FollowedRecords, type HistorySource, lanFamily, overlayFamily } from "./family.ts";
import { merged, type Row } from "./merged.ts";
import { type Past, PastReader } from "./past.ts";
import { type Kept, MOST, Ring } from "./ring.ts";
import type { Told } from "./told.ts";

/** How long a page waits for etcd's past, in ms; one that is open is told when an attempt to read it is over. */
const WAIT = 600;
/** How long it waits for earlier versions of records, in ms. */
const PATIENCE = 2500;
/** The most earlier versions of a record that are read, and the most records whose versions are remembered. */
const MOST_VERSIONS = 20, REMEMBERED = 200;

export interface HistoryOptions {
  readonly names: FollowedRecords<NexRecord>;
  readonly overlays: FollowedRecords<SandRecord>;
  readonly keys: SandKeys;
  readonly connection: EtcdConnection;
  readonly now?: () => number;
  /** The client for which this dashboard changes one of these machines just now; undefined: none. */
  readonly writerOf?: (machines: readonly string[]) => string | undefined;
  /** Called after an attempt to read etcd's past: what is known, or how much of it is tried next, is another now. */
  readonly onAttempt?: () => void;
  /** How long an attempt to read etcd's past may take, in ms. */
  readonly attemptMs?: number;
}

/** How far back it is known what happened. */
export interface Reach {
  /** From this revision of etcd on; 0: nothing is known yet. */
  readonly revision: number;
  /** About when that was, in ms since the epoch. */
  readonly at: number;
  /** Why not further. */
  readonly why: string;
}

export interface HistoryRows {
  /** The newest first. */
  readonly rows: readonly Row[];
  readonly reach: Reach;
}

/** A revision with its time, in ms since the epoch. */
interface Dated {
  readonly revision: number;
  readonly at: number;
}

/** The events that are known of all machines, newest first: those that mirrors told, and those that etcd still has. */
export class History {
  #ring = new Ring();
  readonly #families: readonly HistorySource[];
  #reader: PastReader;
  readonly #versions = new Map<string, Promise<Kept[]>>();
  readonly #now: () => number;
  /** When what this process has seen itself begins. */
  #began: number;
  #past: Omit<Past, "events"> | undefined;
  #loading: Promise<void> | undefined;

  constructor(private readonly options: HistoryOptions) {
    const { names, overlays, keys, now = Date.now, writerOf = () => undefined } = options;
    this.#now = now;
    this.#began = now();
    const listener = {
      onEvent: (event: Told, key: string, revision: number) => {
        const { by = "nexd", about } = event, client = by === "dhcpd" ? undefined : writerOf(about);
        const writer = client === undefined ? {} : { by: `${by} for ${client}` };
        this.#ring.add({ ...event, ...writer, key, revision, seen: now() });
      },
      onRestored: () => this.#restart(),
    };
    this.#families = [lanFamily(names, listener), overlayFamily(overlays, keys, listener)];
    this.#reader = this.#newReader();
  }

  /**
   * Finds the events that have one of these identifiers: a MAC, an address, a name, or an endpoint's id.
   *
   * @param about Undefined: everything.
   * @param keys Of records that are there: their earlier versions are read too.
   */
  async of(about: readonly string[] | undefined, keys: readonly string[] = []): Promise<HistoryRows> {
    if (!this.#past) await deadline(this.#loading ??= this.#load(), WAIT);
    const wanted = about?.map((id) => id.toLowerCase());
    const older = await Promise.all(keys.map((key) => this.#olderOf(key)));
    const events = [...this.#ring.of(wanted), ...older.flatMap(({ events }) => events)]
      // Of one revision a watch and a mirror may tell in another order.
      .sort((a, b) => b.revision - a.revision || (a.key < b.key ? -1 : 1));
    const failed = older.find(({ why }) => why !== undefined)?.why;
    const reach = this.#reach();
    return {
      rows: merged(events, this.#before()),
      reach: failed === undefined ? reach : { ...reach, why: `${reach.why}; ${failed}` },
    };
  }

  async #load(): Promise<void> {
    const reader = this.#reader, { attempts } = reader, past = await reader.read();
    this.#loading = undefined;
    // The store may have been put back meanwhile.
    if (past && reader === this.#reader) {
      const { events, ...rest } = past;
      this.#ring.addOlder(events);
      this.#past = rest;
    }
    if (reader.attempts > attempts) this.options.onAttempt?.();
  }

  /** The store was put back to an older revision: what is known is that of another one. */
  #restart(): void {
    this.#ring = new Ring();
    this.#past = undefined;
    this.#versions.clear();
    this.#began = this.#now();
    this.#reader = this.#newReader();
  }

  #newReader(): PastReader {
    return new PastReader(this.options.connection, this.#families, this.options.attemptMs);
  }

  #reach(): Reach {
    const past = this.#past, { lost } = this.#ring, since = this.#families.map((one) => one.since);
    const begun = since.includes(undefined) ? 0 : Math.max(...since.map((one = 0) => one)) + 1;
    const known = past?.from ?? begun, revision = Math.max(known, lost + 1);
    const untold = past?.untold
      ? `; of ${past.untold} records that were removed their last value was not read`
      : "";
    return {
      revision: begun && revision,
      at: this.#firstTime(revision),
      why: this.#why(lost >= known) + untold,
    };
  }

  #why(isFull: boolean): string {
    if (isFull) return `the newest ${MOST.toLocaleString("en")} events are kept`;
    if (!this.#past) {
      return `what was before this dashboard started is not read yet${
        this.#reader.why === undefined ? "" : `: ${this.#reader.why}`
      }`;
    }
    const { isCompacted, from } = this.#past;
    if (from <= 1) return "that is when this etcd began";
    if (isCompacted) return "etcd has compacted what was before";
    const window = this.#reader.window.toLocaleString("en");
    return `of what was before this dashboard started ${window} revisions are read`;
  }

  /** The first time that is known from a revision on. */
  #firstTime(from: number): number {
    if (!this.#past && this.#ring.lost === 0) return this.#began;
    let first: Dated | undefined;
    for (const event of this.#ring.events()) {
      const one = datedOf(event);
      if (one && one.revision >= from && one.revision < (first?.revision ?? Infinity)) first = one;
    }
    return first?.at ?? this.#began;
  }

  /** Of a revision, the first time after it that is known. */
  #before(): (revision: number) => number {
    let dated: Dated[] | undefined;
    return (revision) => {
      dated ??= this.#ring.of(undefined).reverse().flatMap((event) => datedOf(event) ?? []);
      let low = 0, high = dated.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((dated[middle]?.revision ?? 0) > revision) high = middle;
        else low = middle + 1;
      }
      return dated[low]?.at ?? this.#began;
    };
  }

  /** The earlier versions of a record, of which the events that are kept do not tell. */
  async #olderOf(key: string): Promise<{ readonly events: readonly Kept[]; readonly why?: string }> {
    const family = this.#families.find((one) => one.has(key)), entry = family?.entry(key);
    if (!family || !entry) return { events: [] };
    const { revision: reach } = this.#reach(), floor = this.#past?.isCompacted ? this.#past.from - 1 : 1;
    // Everything since it was created is known.
    if (entry.createRevision >= reach) return { events: [] };
    const before = this.#ring.oldestOf(key) ?? entry.modRevision + 1, name = `${key}@${before}`;
    let versions = this.#versions.get(name);
    if (!versions) {
      this.#versions.set(name, versions = this.#read(family, key, before, floor));
      if (this.#versions.size > REMEMBERED) this.#versions.delete(this.#versions.keys().next().value ?? "");
    }
    try {
      const events = await deadline(versions, PATIENCE, () => {
        throw new Error(`not within ${PATIENCE} ms`);
      });
      return { events };
    } catch (error) {
      this.#versions.delete(name);
      return { events: [], why: `earlier versions could not be read: ${messageOf(error)}` };
    }
  }

  async #read(family: HistorySource, key: string, before: number, floor: number): Promise<Kept[]> {
    const found = await versionsOf(this.options.connection, key, { before, floor, most: MOST_VERSIONS });
    return found.flatMap(({ value, createRevision, modRevision }, i) => {
      const older = found[i + 1], isNew = createRevision === modRevision;
      const was = older && !isNew ? family.parse(key, older.value) : undefined;
      const event = family.event(was, family.parse(key, value), isNew || older !== undefined);
      return event ? [{ ...event, key, revision: modRevision }] : [];
    });
  }
}

function datedOf({ revision, seen, time }: Kept): Dated | undefined {
  const at = seen ?? time;
  return at === undefined ? undefined : { revision, at };
}
