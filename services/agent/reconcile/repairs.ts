/** Publishes in etcd what this host's agent has repaired of each network, so that it is seen without asking the agent. */
import { repeat } from "../../common/async.ts";
import type { Daemon } from "../../common/daemon.ts";
import { type RepairsRecord, writeSandRecord } from "../../store/sand_records.ts";
import type { SandStore } from "../../store/sand_store.ts";
import type { Context } from "../context.ts";

/** The most networks that are told: those that were repaired last. The record then has 10 KB at most. */
export const MOST_NETWORKS = 32;
/** How soon the first repair is published, and the least time between two publications, in ms: a network may drift all the time. */
const SOON = 1000, PAUSE = 30_000;

type Entry = RepairsRecord["networks"][number];

/**
 * Counts repairs by network since the agent was started, and writes them under the lease of its claim on the host's name: at rest
 * nothing is written, and what an agent has published goes with it, as its metrics do.
 */
export class Repairs {
  readonly #since: string;
  /** By network, the one that was repaired last at the end. */
  readonly #networks = new Map<string, Entry>();
  /** The record in etcd: how much had been counted when it was written, and its lease. */
  #published: { readonly changes: number; readonly lease: bigint } | undefined;
  #changes = 0;
  /** Ends the publications; undefined until there is something to publish. */
  #end: (() => Promise<void>) | undefined;
  #isClosed = false;

  /**
   * @param store Its committer is guarded by the claim on the name.
   * @param lease Of the claim; undefined while the name is not claimed.
   */
  constructor(
    private readonly store: {
      readonly keys: SandStore["keys"];
      readonly committer: Pick<SandStore["committer"], "commit">;
    },
    private readonly hostname: string,
    private readonly lease: () => bigint | undefined,
    private readonly pauses: { readonly soon: number; readonly pause: number } = { soon: SOON, pause: PAUSE },
    private readonly now: () => number = Date.now,
  ) {
    this.#since = this.#time();
  }

  /** Notes a repair. @param network Empty: of the host itself. */
  add(network: string, ops: ReadonlyMap<string, number>): void {
    const before = this.#networks.get(network), all = { ...before?.ops };
    let differences = before?.differences ?? 0;
    for (const [op, count] of ops) {
      all[op] = (all[op] ?? 0) + count;
      differences += count;
    }
    this.#networks.delete(network);
    this.#networks.set(network, {
      id: network,
      times: (before?.times ?? 0) + 1,
      differences,
      last: this.#time(),
      ops: all,
    });
    for (const [oldest] of this.#networks) {
      if (this.#networks.size > MOST_NETWORKS) this.#networks.delete(oldest);
    }
    this.#changes++;
    if (this.#isClosed) return;
    const { soon, pause } = this.pauses;
    this.#end ??= repeat((runs) => runs ? pause : soon, () => this.#publish());
  }

  /** Ends after a publication that is running. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end?.();
  }

  /** Publishes changes together; from the first repair on it looks at intervals whether the lease is still the same. */
  async #publish(): Promise<void> {
    const lease = this.lease(), changes = this.#changes;
    const isThere = this.#published?.changes === changes && this.#published.lease === lease;
    if (lease !== undefined && !isThere && await this.#write(lease)) this.#published = { changes, lease };
  }

  /** @returns false: it is tried again later */
  async #write(lease: bigint): Promise<boolean> {
    const value = writeSandRecord({ since: this.#since, networks: [...this.#networks.values()].reverse() });
    try {
      const put = this.store.keys.repairs(this.hostname);
      return (await this.store.committer.commit({ guards: [], ops: [{ put, value, lease }] })).committed;
    } catch {
      // Etcd is away, or does not say whether it wrote: writing it again is no harm.
      return false;
    }
  }

  #time(): string {
    return new Date(this.now()).toISOString();
  }
}

/** Has the agent publish all that its counters are told of. */
export function publishRepairs(daemon: Daemon, context: Context, lease: () => bigint | undefined): void {
  const repairs = new Repairs(context.store, context.host.hostname, lease);
  context.counters.repaired = (network, ops) => repairs.add(network, ops);
  daemon.defer("repairs", () => repairs.close());
}
