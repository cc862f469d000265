/** Confirms that a mirror shows what etcd holds, or has taken every event, up to the time of the call. */
import { abortable, deadline, delay } from "../common/async.ts";
import type { Comparison } from "./comparison.ts";
import type { EtcdConnection } from "./connection.ts";
import type { ResponseHeader } from "./messages.ts";
import type { MirrorData } from "./mirror_data.ts";
import { SharedRequest } from "./shared_request.ts";
import type { SkippedEventCheck } from "./skipped.ts";
import type { Watch } from "./watch.ts";

/** How long etcd may take to send events that it has, in ms: it turns to a watcher that it has put aside every 100 ms. */
const CATCH_UP_MS = 500;

/** The mirror, as its confirmation needs it. */
export interface Confirmed {
  readonly connection: EtcdConnection;
  readonly data: Pick<
    MirrorData<unknown>,
    "clusterId" | "comparisons" | "contradiction" | "parts" | "revision"
  >;
  /** How long the watch may be late before everything is compared, in ms. */
  readonly settleMs: number;
  readonly closing: AbortSignal;
  /** The watch that runs, and what looks for events that it skips. */
  watching(): { readonly watch: Watch; readonly look: SkippedEventCheck } | undefined;
  /** True while the data is known to be of another store than etcd's. */
  isRelistNeeded(): boolean;
  relist(reason: string): void;
}

/** The state that callers which wait for a confirmation share. */
export class Confirmation {
  readonly #heads: SharedRequest<ResponseHeader>;
  readonly #comparisons: SharedRequest<Comparison>;

  constructor(private readonly mirror: Confirmed) {
    this.#heads = new SharedRequest(() => mirror.connection.head());
    this.#comparisons = new SharedRequest(() => this.#compare());
  }

  /**
   * Resolves when the mirror shows everything that had been committed when this was called: etcd, as a majority of its members
   * knows it, has been asked for that, see {@link Comparison}. What the watch does not report has everything listed again.
   * Throws Refusal "unavailable" when etcd cannot be asked, or the reason of `signal`.
   */
  async confirmed(signal: AbortSignal): Promise<void> {
    for (;;) {
      const comparison = await abortable(this.#comparisons.next(), signal);
      comparison.waiting++;
      try {
        if (await this.#result(comparison, signal)) return;
      } finally {
        if (--comparison.waiting === 0) this.mirror.data.comparisons.end(comparison);
      }
    }
  }

  /** The result of a comparison. Where it takes long, the watch is late or has skipped events: a self-check finds that out. */
  async #result({ isEqual }: Comparison, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      let result = await deadline(abortable(isEqual, signal), this.mirror.settleMs);
      const checked = result === undefined ? this.mirror.watching()?.look.now() : undefined;
      if (checked) result = await abortable(Promise.race([isEqual, checked.then(() => undefined)]), signal);
      if (result !== undefined) return result;
    }
  }

  async #compare(): Promise<Comparison> {
    const { connection, data } = this.mirror, { comparisons, revision } = data;
    const comparison = comparisons.begin(data.parts.all());
    try {
      const names = comparison.parts.map(({ prefix, equal }) => ({ name: prefix, after: equal }));
      const { header, ranges } = await connection.written(names);
      comparisons.endUnused(comparison);
      const wrong = data.contradiction(header, revision);
      if (wrong === undefined) comparison.answered(header.revision, ranges);
      else this.mirror.relist(wrong);
    } catch (error) {
      comparisons.end(comparison);
      throw error;
    }
    comparisons.check();
    return comparison;
  }

  /**
   * Resolves when the mirror has taken every event of these keys up to when this was called, as far as that can be known: etcd
   * says of a watcher neither that it has sent all events, nor that it has skipped one. Throws as {@link confirmed} does.
   */
  async reported(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const { data, closing } = this.mirror, knownRevision = data.revision;
    const head = await abortable(this.#heads.next(), signal);
    const wrong = data.contradiction(head, knownRevision);
    if (wrong !== undefined) this.mirror.relist(wrong);
    for (;;) {
      const parts = new Set(keys.flatMap((key) => data.parts.of(key) ?? []));
      const behind = [...parts].flatMap((part) => part.seen < head.revision ? { part, seen: part.seen } : []);
      const isSame = !this.mirror.isRelistNeeded() && head.clusterId === data.clusterId;
      if (isSame && !behind.length) return;
      const watch = this.mirror.watching()?.watch;
      const couldReport = isSame && watch?.created && await watch.hasReached(head.revision);
      await delay(CATCH_UP_MS, signal);
      signal.throwIfAborted();
      closing.throwIfAborted();
      const isQuiet = behind.every(({ part, seen }) => part.seen === seen || part.seen >= head.revision);
      if (couldReport && isQuiet && watch === this.mirror.watching()?.watch) return;
    }
  }
}
