/**
 * Compares this process's clock with those of the other processes that end leases or give them. Each publishes its time
 * under a key in etcd, which vanishes with the process.
 *
 * A time that arrives is older by as long as it took to arrive, which may be long where a process was stopped. So it proves only that the
 * other clock is ahead by what is seen, or more; that it is behind is proven by what the other process sees, and publishes along with its time.
 * No delay makes a clock look wrong.
 */
import { SteadyClock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import { hasEnded, type MaybeProcess, thisProcess } from "../common/machine.ts";
import { messageOf } from "../common/refusal.ts";
import type { Connection } from "../store/connection.ts";
import { keyOf } from "../store/keys.ts";
import { KeptLease } from "../store/lease.ts";
import { StoreMirror } from "../store/mirror.ts";
import { type ClockRecord, clockSchema, writeRecord } from "../store/records.ts";
import type { Change, Committer } from "../store/types.ts";
import { APART_MS, type ClockVerdict, judgeClock, type Judgement } from "./clock_verdict.ts";

/** How often the time is published, in ms, where not more than MANY others have to hear it. */
const EVERY = 5_000, MANY = 20;
/** A process that is new, or whose clock is found to differ, hears from the others after so many ms at the latest. */
const SOON = 200;
/** How long a process's time outlives it, in seconds. */
const TTL = 10;
/** So long, in ms, a new process waits for the others' times; one that says nothing is stopped, and soon gone. */
const PATIENCE = 12_000;
/** A process that cannot compare its clock for so long, in ms, says so, and goes on as one that disagrees with another. */
const UNCOMPARED = 15_000;
/** How often, in ms, a process that has not compared its clock looks whether it has waited long enough. */
const LOOK = 1_000;
/** So many of the last times of each other process count. */
const SAMPLES = 3;
/**
 * A time that another process had published before this one came, and that is so near to this one's, in ms, says enough:
 * it was published a short while ago, since its process lives or died a short while ago.
 */
const NEAR = APART_MS - EVERY - TTL * 1000;
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

/** Another process. */
interface Peer {
  /** By how much its clock was ahead, at least: its last times, in ms. */
  readonly ahead: number[];
  /** By how much it has seen this process's clock ahead, in ms. */
  behind: number;
  /** Of the last time that it has published. */
  revision: number;
  process: MaybeProcess;
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
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #publishing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly store: { readonly connection: Connection; readonly committer: Committer },
    private readonly options: ClocksOptions,
  ) {
    this.#clock = options.clock ?? new SteadyClock();
    this.#mirror = new StoreMirror<ClockRecord>(store.connection, clockSchema, {
      report: (event) => {
        if (event.kind === "out-of-step") this.#unread = event.reason;
        else if (event.kind === "in-step") this.#unread = undefined;
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
    let timer;
    const over = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.#judged.promise, over]);
    clearTimeout(timer);
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
      const { time, ahead = {}, ...process } = after.record.value;
      let peer = this.#peers.get(id);
      if (!peer) {
        this.#peers.set(id, peer = { ahead: [], behind: 0, revision: 0, process: {} });
        this.#publishWithin(SOON);
      }
      const known = seen(peer);
      peer.ahead.push(time - now);
      if (peer.ahead.length > SAMPLES) peer.ahead.shift();
      peer.behind = ahead[this.#id] ?? 0;
      peer.revision = after.modRevision;
      peer.process = process;
      // It cannot see by itself that it is ahead.
      if (seen(peer) > NOISE && known <= NOISE) this.#publishWithin(SOON);
    }
    this.#judge();
  }

  #judge(): void {
    const { log } = this.options, peers = [...this.#peers.values()];
    const late = performance.now() - this.#firstAt > PATIENCE;
    // An ended process's time, from before the machine was started anew for instance, may be old, but not ahead.
    const heard = (peer: Peer) =>
      peer.revision > this.#first || Math.abs(seen(peer)) <= NEAR ||
      seen(peer) <= NEAR && hasEnded(peer.process);
    const compared = this.#compared = this.#first > 0 && (late || peers.every(heard));
    const before = this.#judgement.verdict;
    this.#judgement = compared
      ? judgeClock(peers.map((peer) => {
        const difference = Math.max(0, seen(peer)) - peer.behind;
        return Math.abs(difference) < NOISE ? 0 : difference;
      }))
      : { verdict: this.uncompared ? "apart" : "unknown", offset: 0 };
    const { verdict, offset } = this.#judgement;
    if (verdict !== "unknown") this.#judged.resolve();
    if (verdict === before) return;
    const seconds = Math.round(offset / 1000), others = this.#peers.size;
    if (verdict === "wrong") {
      log.error({ seconds, others }, "this clock is wrong: no lease is ended, and no new one is given");
    } else if (this.uncompared) {
      log.error(`this clock cannot be compared with others', and no lease is ended: ${this.uncompared.why}`);
    } else if (verdict === "apart") {
      log.error({ seconds, others }, "clocks differ, and no majority says which is right: no lease is ended");
    } else if (verdict === "right" && before !== "unknown") {
      log.info({ others }, "this clock agrees with the others again");
    }
  }

  /** Publishes the time as soon as that, if it would not be published sooner. */
  #publishWithin(ms: number): void {
    const due = performance.now() + ms * (0.5 + Math.random() / 2);
    if (this.#closed || due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      this.#publishing = this.#publish().catch((error) => {
        // Told by readyz where it lasts.
        this.#failure = messageOf(error);
        this.options.log.debug(`the time could not be published: ${messageOf(error)}`);
      }).finally(() => this.#publishWithin(EVERY * Math.max(1, this.#peers.size / MANY)));
    }, due - performance.now());
  }

  async #publish(): Promise<void> {
    const lease = this.#lease.id;
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
    const time = Math.floor(this.#clock.now());
    const outcome = await this.store.committer.commit({
      guards: [],
      ops: [
        ...former.map((id) => ({ remove: keyOf.clock(id) })),
        { put: keyOf.clock(id), value: writeRecord({ name, time, ahead, ...thisProcess() }), lease },
      ],
    });
    // Until it is known to be gone, a time that was given up is a false vote.
    if (outcome.committed) { for (const id of former) this.#former.delete(id); }
    this.#failure = undefined;
    if (outcome.committed && !this.#first && id === this.#id) {
      this.#first = outcome.revision;
      this.#firstAt = performance.now();
    }
    this.#publishWithin(EVERY * Math.max(1, this.#peers.size / MANY));
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

/** By how much a peer's clock is ahead at least. */
function seen({ ahead }: Peer): number {
  return ahead.length ? Math.max(...ahead) : 0;
}
