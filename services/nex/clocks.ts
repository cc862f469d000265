/**
 * Compares this process's clock with those of the other processes that end leases or give them. Each publishes its time
 * under a key in etcd, which vanishes with the process.
 *
 * A time that arrives is older by as long as it took to arrive, which may be long where a process was stopped. So it proves only that the
 * other clock is ahead by what is seen, or more; that it is behind is proven by what the other process sees, and publishes along with its time.
 * No delay makes a clock look wrong.
 */
import { deadline } from "../common/async.ts";
import { SteadyClock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import { thisProcess } from "../common/machine.ts";
import { messageOf } from "../common/refusal.ts";
import type { Connection } from "../store/connection.ts";
import { keyOf } from "../store/keys.ts";
import { KeptLease } from "../store/lease.ts";
import { StoreMirror } from "../store/mirror.ts";
import { type ClockRecord, clockSchema, writeRecord } from "../store/records.ts";
import type { Change, Committer } from "../store/types.ts";
import { EVERY, isHeard, type Peer, seen, take, TTL } from "./clock_peer.ts";
import { Rhythm } from "./clock_rhythm.ts";
import { type ClockVerdict, differenceOf, judgeClock, type Judgement, TOLD_MS } from "./clock_verdict.ts";

/** So long, in ms, a new process waits for the others' times; one that says nothing is stopped, and soon gone. */
const PATIENCE = 12_000;
/** A process that cannot compare its clock for so long, in ms, says so, and goes on as one that disagrees with another. */
const UNCOMPARED = 15_000;
/** How often, in ms, a process looks whether its system's clock was set, and whether it has waited long enough for the others. */
const LOOK = 1_000;
/** Less is what a busy machine and etcd take, in ms. */
const NOISE = 1_000;
/** A clock that most others contradict may be right all the same, after a machine has slept; beyond a day, in ms, it is not. */
const CREDIBLE = 24 * 3_600_000;

export interface ClocksOptions {
  readonly log: Log;
  /** What the process is, for those who look: `nexd on host1`. */
  readonly name: string;
  readonly clock?: SteadyClock;
}

/** Time to judge leases by, in milliseconds since the epoch; see {@link Clocks}. */
export interface LeaseClock {
  now(): number;
  /** The latest time that may be right: what is stored to end later is ended by no other process too early. */
  readonly latest: number;
  /** The earliest time that this machine has: what is over by it is over. */
  readonly earliest: number;
  readonly verdict: ClockVerdict;
}

/** What is over by then is over, in seconds since the epoch, rounded down; -Infinity while the clock is not known to be right. */
export function surelyPast({ verdict, earliest }: Pick<LeaseClock, "verdict" | "earliest">): number {
  return verdict === "right" ? Math.floor(earliest / 1000) : -Infinity;
}

/** Publishes this process's time and follows the others' until it is closed. */
export class Clocks implements LeaseClock {
  readonly #clock: SteadyClock;
  readonly #lease: KeptLease;
  readonly #mirror: StoreMirror<ClockRecord>;
  readonly #peers = new Map<string, Peer>();
  readonly #unsubscribe: () => void;
  #id = crypto.randomUUID();
  /** Every id that this process has had: what is under them is no other process's time. */
  readonly #mine = new Set<string>([this.#id]);
  /** Former ids under which a time may still be in etcd. */
  readonly #former = new Set<string>();
  /** Of this process's first time under its id; 0: none was published. */
  #first = 0;
  #firstAt = Infinity;
  #judgement: Judgement = { verdict: "unknown", offset: 0 };
  #compared = false;
  #uncomparedSince = performance.now();
  /** Why nothing could be published, or the lease not be kept, last. */
  #failure: string | undefined;
  /** Why others' times cannot be read. */
  #unread: string | undefined;
  readonly #judged = Promise.withResolvers<void>();
  readonly #look: ReturnType<typeof setInterval>;
  readonly #rhythm = new Rhythm();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer goes off. */
  #armed = Infinity;
  #busy = false;
  /** By how much the system's clock was set, as the others last heard this process's time. */
  #steppedThen = 0;
  #publishing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly store: { readonly connection: Connection; readonly committer: Committer },
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
    this.#look = setInterval(() => {
      if (!this.#compared) this.#judge();
      // Set, or the machine slept: then this process's time may be wrong, or right again.
      if (Math.abs(this.#clock.stepped - this.#steppedThen) > NOISE) this.#publishSoon();
    }, LOOK);
  }

  /** The time, in ms since the epoch: by most others' clocks where this process's own is known to be wrong. */
  now(): number {
    const { verdict, offset } = this.#judgement;
    return this.#clock.now() + (verdict === "wrong" ? offset : 0);
  }

  /**
   * A process that missed a step of its system's clock, or a sleep of its machine, is behind one that is started later. So
   * the system's present time counts, as do the times of processes that are ahead.
   */
  get latest(): number {
    const now = this.now(), own = this.#clock.now(), { verdict } = this.#judgement;
    let latest = verdict === "wrong" ? now : now + Math.max(0, this.#clock.stepped);
    for (const time of [own, ...[...this.#peers.values()].map((peer) => own + seen(peer))]) {
      const ahead = time - now;
      if (ahead > NOISE && (verdict === "apart" || ahead <= CREDIBLE)) latest = Math.max(latest, time);
    }
    return latest;
  }

  get earliest(): number {
    return this.now() + Math.min(0, this.#clock.stepped);
  }

  get verdict(): ClockVerdict {
    return this.#judgement.verdict;
  }

  /** What most others' clocks are ahead of this process's, in ms. */
  get offset(): number {
    return this.#judgement.offset;
  }

  /** Resolves when there is a verdict, or after so many ms. */
  async judged(ms: number): Promise<void> {
    await deadline(this.#judged.promise, ms);
  }

  /** Since when, in ms, and why the clock cannot be compared with others'; undefined: it is, or it was tried for a short while only. */
  get uncompared(): { readonly ms: number; readonly why: string } | undefined {
    const ms = performance.now() - this.#uncomparedSince;
    if (this.#compared || ms < UNCOMPARED) return undefined;
    const why = this.#unread ?? this.#failure ?? "etcd has not answered yet";
    return { ms, why };
  }

  /** How many other processes there are. */
  get others(): number {
    return this.#peers.size;
  }

  /** By how many ms the system's clock was set since this process took its time from it. */
  get stepped(): number {
    return this.#clock.stepped;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#look);
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
      const known = seen(peer);
      take(peer, time - now);
      peer.behind = ahead[this.#id] ?? 0;
      peer.revision = after.modRevision;
      peer.every = every;
      peer.process = process;
      // It cannot see by itself that it is ahead.
      if (seen(peer) > NOISE && known <= NOISE) this.#publishSoon();
      // It may be behind, which it sees by this process's time alone.
      if (time - now < -NOISE) this.#rhythm.answer(performance.now());
    }
    this.#judge();
    this.#arm();
  }

  #judge(): void {
    const { log } = this.options, peers = [...this.#peers.values()];
    const late = performance.now() - this.#firstAt > PATIENCE;
    const compared = this.#compared = this.#first > 0 &&
      (late || peers.every((peer) => isHeard(peer, this.#first)));
    const before = this.#judgement.verdict;
    this.#judgement = compared
      ? judgeClock(peers.map((peer) => {
        const difference = Math.max(0, seen(peer)) - peer.behind;
        return Math.abs(difference) < NOISE ? 0 : difference;
      }))
      : { verdict: this.uncompared ? "apart" : "unknown", offset: 0 };
    const { verdict, offset } = this.#judgement;
    if (!this.#agree) this.#publishNext();
    if (verdict !== "unknown") this.#judged.resolve();
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

  /** Whether no clock differs by as much as would be told. */
  get #agree(): boolean {
    return this.#judgement.verdict === "right" &&
      [...this.#peers.values()].every((peer) => Math.max(seen(peer), peer.behind) <= TOLD_MS);
  }

  #publishSoon(): void {
    this.#rhythm.soon(performance.now());
    this.#arm();
  }

  /** Plans the next time. Returns how long that is away at most, in ms. */
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
    this.#timer = setTimeout(() => this.#onTime(), due - performance.now());
  }

  #onTime(): void {
    this.#armed = Infinity;
    // It may have been published meanwhile, with a new lease.
    if (this.#rhythm.due > performance.now() + 1) return this.#arm();
    this.#busy = true;
    this.#publishing = this.#publish().catch((error) => {
      // Told by readyz where it lasts.
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
      this.#again();
    }
    const id = this.#id, former = [...this.#former];
    const ahead = Object.fromEntries(
      [...this.#peers].filter(([, peer]) => seen(peer) > NOISE).map((
        [id, peer],
      ) => [id, Math.floor(seen(peer))]),
    );
    const { name } = this.options;
    // Read before anything is waited for: that the time is older when it arrives is allowed for.
    const time = Math.floor(this.#clock.now()), every = this.#publishNext();
    this.#steppedThen = this.#clock.stepped;
    const outcome = await this.store.committer.commit({
      guards: [],
      ops: [
        ...former.map((id) => ({ remove: keyOf.clock(id) })),
        { put: keyOf.clock(id), value: writeRecord({ name, time, ahead, every, ...thisProcess() }), lease },
      ],
    });
    // Until it is known to be gone, a time that was given up is a false vote.
    if (outcome.committed) { for (const id of former) this.#former.delete(id); }
    this.#failure = undefined;
    if (outcome.committed && !this.#first && id === this.#id) {
      this.#first = outcome.revision;
      this.#firstAt = performance.now();
    }
    this.#judge();
  }

  /** All is compared anew. */
  #again(): void {
    this.#first = 0;
    this.#firstAt = Infinity;
    this.#compared = false;
    this.#uncomparedSince = performance.now();
  }

  /** Takes the system's time over where that has been set to what most others have. */
  #adopted(): boolean {
    const { verdict, offset } = this.#judgement, { stepped } = this.#clock;
    if (!this.#compared || verdict !== "wrong" && verdict !== "apart") return false;
    if (Math.abs(offset - stepped) > Math.abs(offset) / 2) return false;
    this.options.log.warn(
      { seconds: Math.round(stepped / 1000) },
      "the system's clock was set to what the others have: it counts from now on",
    );
    this.#clock.adopt();
    for (const peer of this.#peers.values()) peer.ahead.length = peer.behind = 0;
    return true;
  }
}
