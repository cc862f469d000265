/**
 * Compares this process's clock with those of the other processes that end or give leases. Each process publishes its time under
 * a key in etcd, which is removed with the process's etcd lease.
 *
 * A time has aged when it arrives, by much where a process was stopped. So it proves only that the other clock is ahead by that
 * difference or more. That the other clock is behind is proven by the difference that the other process measures, and publishes
 * with its time. No delay makes a clock look wrong.
 */
import { deadline } from "../common/async.ts";
import { SteadyClock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import { thisProcess } from "../common/machine.ts";
import { messageOf } from "../common/refusal.ts";
import type { EtcdConnection } from "../store/connection.ts";
import { keyOf } from "../store/keys.ts";
import { KeptLease } from "../store/lease.ts";
import { StoreMirror } from "../store/mirror.ts";
import { type ClockRecord, clockSchema, writeRecord } from "../store/records.ts";
import type { Change, Committer } from "../store/types.ts";
import { addSample, type ClockPeer, EVERY, hasEnoughSamples, minimumLead, TTL } from "./clock_peer.ts";
import { PublishSchedule } from "./publish_schedule.ts";
import {
  type ClockComparison,
  type ClockVerdict,
  compareClock,
  differenceOf,
  TOLD_MS,
} from "./clock_verdict.ts";

/** How long a new process waits for the others' times, in ms. A process that publishes none by then is stopped. */
const PATIENCE = 12_000;
/** A process that has not compared its clock for so many ms reports that, and acts like one whose clock differs. */
const UNCOMPARED = 15_000;
/** How often a process checks whether its system's clock was set, and whether it has waited long enough for the others, in ms. */
const CHECK = 1_000;
/** Smaller differences, in ms, are the delays of a busy machine and of etcd. */
const NOISE = 1_000;
/**
 * After a machine has slept, a clock that most others contradict may be right; one that differs by more than this, in ms, is not.
 */
const CREDIBLE = 24 * 3_600_000;

export interface ClocksOptions {
  readonly log: Log;
  /** The process, as operators know it: `nexd on host1`. */
  readonly name: string;
  readonly clock?: SteadyClock;
}

/** The clock of leases, in milliseconds since the epoch; see {@link Clocks}. */
export interface LeaseClock {
  now(): number;
  /** The latest time that may be right: a lease stored with an end after it is ended too early by no other process. */
  readonly latest: number;
  /** The earliest time that may be right: a lease that has ended by it is over. */
  readonly earliest: number;
  readonly verdict: ClockVerdict;
}

/** The time by which leases count as ended, in whole seconds since the epoch; -Infinity while the clock may be wrong. */
export function certainlyPast({ verdict, earliest }: Pick<LeaseClock, "verdict" | "earliest">): number {
  return verdict === "right" ? Math.floor(earliest / 1000) : -Infinity;
}

/** Publishes this process's time and follows the others' until it is closed. */
export class Clocks implements LeaseClock {
  readonly #clock: SteadyClock;
  readonly #lease: KeptLease;
  readonly #mirror: StoreMirror<ClockRecord>;
  readonly #peers = new Map<string, ClockPeer>();
  readonly #unsubscribe: () => void;
  #id = crypto.randomUUID();
  /** Every id that this process has had: the times under them are its own. */
  readonly #mine = new Set<string>([this.#id]);
  /** Former ids under which a time may still be in etcd. */
  readonly #former = new Set<string>();
  /** The revision of this process's first time under its id; 0: none was published yet. */
  #first = 0;
  #firstAt = Infinity;
  #comparison: ClockComparison = { verdict: "unknown", offset: 0 };
  #compared = false;
  #uncomparedSince = performance.now();
  /** Why the last time could not be published, or the etcd lease not be kept. */
  #failure: string | undefined;
  /** Why others' times cannot be read. */
  #unread: string | undefined;
  readonly #settled = Promise.withResolvers<void>();
  readonly #check: ReturnType<typeof setInterval>;
  readonly #rhythm = new PublishSchedule();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires. */
  #armed = Infinity;
  #busy = false;
  /** The shift of the system's clock when this process's time was last published. */
  #steppedThen = 0;
  #publishing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly store: { readonly connection: EtcdConnection; readonly committer: Committer },
    private readonly options: ClocksOptions,
  ) {
    this.#clock = options.clock ?? new SteadyClock();
    this.#mirror = new StoreMirror<ClockRecord>(store.connection, clockSchema, {
      report: (event) => {
        if (event.kind === "out-of-sync") this.#unread = event.reason;
        else if (event.kind === "in-sync") this.#unread = undefined;
      },
    });
    this.#unsubscribe = this.#mirror.subscribe((changes) => this.#take(changes));
    this.#lease = new KeptLease(store.connection, {
      ttlSeconds: TTL,
      onGranted: async () => {
        await this.#mirror.ready();
        await this.#publish();
      },
      onTrouble: (reason) => this.#failure = reason,
    });
    this.#check = setInterval(() => {
      if (!this.#compared) this.#compare();
      // The clock was set, or the machine slept: this process's time may be wrong, or right again.
      if (Math.abs(this.#clock.stepped - this.#steppedThen) > NOISE) this.#publishSoon();
    }, CHECK);
  }

  /** The time, in ms since the epoch; that of most other clocks where this process's own is known to be wrong. */
  now(): number {
    const { verdict, offset } = this.#comparison;
    return this.#clock.now() + (verdict === "wrong" ? offset : 0);
  }

  /**
   * A process that missed a step of its system's clock, or a sleep of its machine, is behind one that is started later. So the
   * system's present time counts too, and the times of processes that are ahead.
   */
  get latest(): number {
    const now = this.now(), own = this.#clock.now(), { verdict } = this.#comparison;
    let latest = verdict === "wrong" ? now : now + Math.max(0, this.#clock.stepped);
    for (const time of [own, ...[...this.#peers.values()].map((peer) => own + minimumLead(peer))]) {
      const ahead = time - now;
      if (ahead > NOISE && (verdict === "apart" || ahead <= CREDIBLE)) latest = Math.max(latest, time);
    }
    return latest;
  }

  get earliest(): number {
    return this.now() + Math.min(0, this.#clock.stepped);
  }

  get verdict(): ClockVerdict {
    return this.#comparison.verdict;
  }

  /** How far most other clocks are ahead of this process's, in ms. */
  get offset(): number {
    return this.#comparison.offset;
  }

  /** Resolves when there is a verdict, or after `ms`. */
  async settled(ms: number): Promise<void> {
    await deadline(this.#settled.promise, ms);
  }

  /** For how long, in ms, and why the clock could not be compared; undefined where it was, or was tried for a short time only. */
  get uncompared(): { readonly ms: number; readonly why: string } | undefined {
    const ms = performance.now() - this.#uncomparedSince;
    if (this.#compared || ms < UNCOMPARED) return undefined;
    const why = this.#unread ?? this.#failure ?? "etcd has not answered yet";
    return { ms, why };
  }

  /** The number of other processes. */
  get others(): number {
    return this.#peers.size;
  }

  /** The milliseconds by which the system's clock was set since this process took its time from it. */
  get stepped(): number {
    return this.#clock.stepped;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#check);
    this.#unsubscribe();
    this.#mirror.close();
    await this.#publishing;
    await this.#lease.close();
  }

  #take(changes: readonly Change<ClockRecord>[]): void {
    const now = this.#clock.now();
    for (const { before, after } of changes) {
      const id = (after ?? before)?.record.id;
      if (id === undefined || this.#mine.has(id)) continue;
      if (!after) {
        this.#peers.delete(id);
        continue;
      }
      const { time, ahead = {}, every = EVERY, ...process } = after.record.value;
      let peer = this.#peers.get(id);
      if (!peer) {
        this.#peers.set(id, peer = { ahead: [], behind: 0, revision: 0, every, process: {} });
        this.#publishSoon();
      }
      const known = minimumLead(peer);
      addSample(peer, time - now);
      peer.behind = ahead[this.#id] ?? 0;
      peer.revision = after.modRevision;
      peer.every = every;
      peer.process = process;
      // That process cannot find out by itself that its clock is ahead.
      if (minimumLead(peer) > NOISE && known <= NOISE) this.#publishSoon();
      // Its clock may be behind, which it finds out from this process's time only.
      if (time - now < -NOISE) this.#rhythm.answer(performance.now());
    }
    this.#compare();
    this.#arm();
  }

  #compare(): void {
    const { log } = this.options, peers = [...this.#peers.values()];
    const late = performance.now() - this.#firstAt > PATIENCE;
    const compared = this.#compared = this.#first > 0 &&
      (late || peers.every((peer) => hasEnoughSamples(peer, this.#first)));
    const before = this.#comparison.verdict;
    this.#comparison = compared
      ? compareClock(peers.map((peer) => {
        const difference = Math.max(0, minimumLead(peer)) - peer.behind;
        return Math.abs(difference) < NOISE ? 0 : difference;
      }))
      : { verdict: this.uncompared ? "apart" : "unknown", offset: 0 };
    const { verdict, offset } = this.#comparison;
    if (!this.#agree) this.#publishNext();
    if (verdict !== "unknown") this.#settled.resolve();
    if (verdict === before) return;
    const by = differenceOf(offset), others = this.#peers.size;
    if (verdict === "wrong") {
      log.error(`this clock is ${by} most of ${others} others: no lease is ended, and no new one is given`);
    } else if (this.uncompared) {
      log.error(`this clock cannot be compared with others', and no lease is ended: ${this.uncompared.why}`);
    } else if (verdict === "apart") {
      log.error(`this clock is ${by} another, and no majority says which is right: no lease is ended`);
    } else if (verdict === "right" && before !== "unknown") {
      log.info({ others }, "this clock agrees with the others again");
    }
  }

  /** True when no clock differs by as much as is reported. */
  get #agree(): boolean {
    return this.#comparison.verdict === "right" &&
      [...this.#peers.values()].every((peer) => Math.max(minimumLead(peer), peer.behind) <= TOLD_MS);
  }

  #publishSoon(): void {
    this.#rhythm.soon(performance.now());
    this.#arm();
  }

  /** Plans the next time that is published. Returns the most ms until then. */
  #publishNext(): number {
    const every = this.#rhythm.next(performance.now(), this.#agree, this.#peers.size);
    this.#arm();
    return Math.ceil(every);
  }

  #arm(): void {
    const { due } = this.#rhythm;
    if (this.#closed || this.#busy || due >= this.#armed) return;
    this.#armed = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onTime(), Math.max(0, due - performance.now()));
  }

  #onTime(): void {
    this.#armed = Infinity;
    // The time may have been published meanwhile, under a new etcd lease.
    if (this.#rhythm.due > performance.now() + 1) return this.#arm();
    this.#busy = true;
    this.#publishing = this.#publish().catch((error) => {
      // /readyz reports it where it lasts.
      this.#failure = messageOf(error);
      this.options.log.debug(`the time could not be published: ${messageOf(error)}`);
      this.#rhythm.next(performance.now(), false, this.#peers.size);
    }).finally(() => {
      this.#busy = false;
      this.#arm();
    });
  }

  async #publish(): Promise<void> {
    const lease = this.#lease.id;
    this.#rhythm.begin(performance.now());
    if (lease === undefined || this.#closed) return;
    if (this.#adopted()) {
      this.#former.add(this.#id);
      this.#mine.add(this.#id = crypto.randomUUID());
      this.#restart();
    }
    const id = this.#id, former = [...this.#former];
    const ahead = Object.fromEntries(
      [...this.#peers].filter(([, peer]) => minimumLead(peer) > NOISE).map((
        [id, peer],
      ) => [id, Math.floor(minimumLead(peer))]),
    );
    const { name } = this.options;
    // The time is read before anything is awaited; that it has aged when it arrives is allowed for.
    const time = Math.floor(this.#clock.now()), every = this.#publishNext();
    this.#steppedThen = this.#clock.stepped;
    const outcome = await this.store.committer.commit({
      guards: [],
      ops: [
        ...former.map((id) => ({ remove: keyOf.clock(id) })),
        { put: keyOf.clock(id), value: writeRecord({ name, time, ahead, every, ...thisProcess() }), lease },
      ],
    });
    // A time under a former id counts as another process's until it is known to be removed.
    if (outcome.committed) { for (const id of former) this.#former.delete(id); }
    this.#failure = undefined;
    if (outcome.committed && !this.#first && id === this.#id) {
      this.#first = outcome.revision;
      this.#firstAt = performance.now();
    }
    this.#compare();
  }

  /** Starts the comparison with all other clocks again. */
  #restart(): void {
    this.#first = 0;
    this.#firstAt = Infinity;
    this.#compared = false;
    this.#uncomparedSince = performance.now();
  }

  /** Adopts the system's time where it has been set to that of most other clocks. */
  #adopted(): boolean {
    const { verdict, offset } = this.#comparison, { stepped } = this.#clock;
    if (!this.#compared || verdict !== "wrong" && verdict !== "apart") return false;
    if (Math.abs(offset - stepped) > Math.abs(offset) / 2) return false;
    this.options.log.warn(
      { seconds: Math.round(stepped / 1000) },
      "the system's clock was set to the time of the others, and is used from now on",
    );
    this.#clock.adopt();
    for (const peer of this.#peers.values()) peer.ahead.length = peer.behind = 0;
    return true;
  }
}
