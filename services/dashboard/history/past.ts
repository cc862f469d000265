/** The events that etcd still has of the time before this process followed it, read once when they are first asked for. */
import { messageOf } from "../../common/refusal.ts";
import type { EtcdConnection } from "../../store/connection.ts";
import type { WatchEvent } from "../../store/messages.ts";
import { replay, TooMuch } from "../../store/replay.ts";
import type { HistorySource } from "./family.ts";
import type { Kept } from "./ring.ts";

/** The most revisions that are read: etcd reads all of them for it, and tells 1,000 in 100 ms. */
export const WINDOW = 5000;
/** How long one attempt may take, in ms, and how many bytes it may read. */
export const ATTEMPT_MS = 1500;
const MOST_BYTES = 32 * 1024 * 1024;
/** The most records whose earlier value is asked for, how many at a time, and for how long in all, in ms. */
const MOST_BEFORE = 2000, AT_A_TIME = 16, BEFORE_MS = 500;
/** After a failure it is tried again no sooner than that, in ms. */
const RETRY_MS = 10_000;

/** How far back the past was read. */
export interface Past {
  /** Everything since this revision was read. */
  readonly from: number;
  readonly isCompacted: boolean;
  /** The oldest first. */
  readonly events: readonly Kept[];
  /** How many removals of records could not be told, because their last value could not be read in time. */
  readonly untold: number;
}

interface Raw {
  readonly family: HistorySource;
  readonly key: string;
  readonly revision: number;
  readonly isNew: boolean;
  readonly record: unknown;
}

/** Reads the past in one attempt, or several with fewer revisions each. */
export class PastReader {
  #window = WINDOW;
  #attempts = 0;
  #failedAt = -Infinity;
  #why: string | undefined;

  constructor(
    private readonly connection: EtcdConnection,
    private readonly families: readonly HistorySource[],
    private readonly attemptMs = ATTEMPT_MS,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  /** Why it could not be read the last time. */
  get why(): string | undefined {
    return this.#why;
  }

  /** How often it was tried. */
  get attempts(): number {
    return this.#attempts;
  }

  /** How many revisions are asked for. */
  get window(): number {
    return this.#window;
  }

  /** Undefined: it cannot be read now. */
  async read(): Promise<Past | undefined> {
    if (this.families.some(({ since }) => since === undefined)) return undefined;
    if (this.clock() - this.#failedAt < RETRY_MS) return undefined;
    this.#attempts++;
    try {
      const past = await this.#once();
      this.#why = undefined;
      return past;
    } catch (error) {
      this.#why = messageOf(error);
      // A shorter past is less for etcd to read, and is tried with the next request.
      if (error instanceof TooMuch && this.#window > 100) this.#window = Math.floor(this.#window / 4);
      else this.#failedAt = this.clock();
      return undefined;
    }
  }

  async #once(): Promise<Past> {
    const to = Math.max(...this.families.map(({ since = 0 }) => since));
    const raw: Raw[] = [];
    const onEvent = (event: WatchEvent) => {
      const found = this.#rawOf(event);
      if (found) raw.push(found);
    };
    const from = Math.max(1, to - this.#window + 1);
    const limits = { ms: this.attemptMs, bytes: MOST_BYTES };
    const read = await replay(this.connection, { from, to, onEvent, limits });
    const known = await this.#before(raw), events: Kept[] = [];
    let untold = 0;
    for (const { family, key, revision, isNew, record } of raw) {
      const isKnown = isNew || known.has(key), before = isNew ? undefined : known.get(key);
      known.set(key, record);
      const event = family.event(before, record, isKnown);
      if (event) events.push({ ...event, revision, key });
      else if (record === undefined && !isKnown) untold++;
    }
    return { ...read, events, untold };
  }

  #rawOf(
    { removed, kv: { key, value, createRevision, modRevision: revision } }: WatchEvent,
  ): Raw | undefined {
    const family = this.families.find((one) => one.has(key));
    // What came later the mirror has told.
    if (!family || revision > (family.since ?? 0)) return undefined;
    const record = removed ? undefined : family.parse(key, value);
    if (!removed && record === undefined) return undefined;
    return { family, key, revision, isNew: !removed && createRevision === revision, record };
  }

  /** The values that records had before the first event of each; those that were removed first, since only these tell of whom. */
  async #before(raw: readonly Raw[]): Promise<Map<string, unknown>> {
    const firsts = new Map<string, Raw>(), known = new Map<string, unknown>();
    for (const one of raw) if (!firsts.has(one.key)) firsts.set(one.key, one);
    const wanted = [...firsts.values()].filter(({ isNew }) => !isNew)
      .sort((a, b) => Number(a.record !== undefined) - Number(b.record !== undefined)).slice(0, MOST_BEFORE);
    const next = wanted.values(), end = this.clock() + BEFORE_MS;
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
      for (const { family, key, revision } of next) {
        if (this.clock() > end) return;
        const [kv] = (await this.connection.range({ key, revision: revision - 1 })).kvs;
        known.set(key, kv && family.parse(key, kv.value));
      }
    }));
    return known;
  }
}
