/** Takes each received DHCP message to its reply, with a commit to etcd in between where a lease changes. */
import { TimeLimit } from "../common/async.ts";
import { type Log, OncePerMinute } from "../common/log.ts";
import { Ip } from "../common/ip.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import type { Network } from "../nex/network.ts";
import type { LeaseClock } from "../nex/clocks.ts";
import { change } from "../store/change.ts";
import type { ChangeStore } from "../store/change_store.ts";
import { UnknownOutcome } from "../store/errors.ts";
import type { NexRecord } from "../store/records.ts";
import type { Guard } from "../store/types.ts";
import { type DhcpdCounts, noCounts, replyNames, typeNames } from "./counters.ts";
import type { Message } from "./message.ts";
import { Opt } from "./numbers.ts";
import type { Arrival, ClientRequest } from "./arrival.ts";
import { clientIn, type Commit, type Decision } from "./decision.ts";
import { handle } from "./protocol.ts";
import type { Reply } from "./reply.ts";
import type { AddressSpaces } from "./spaces.ts";

/** A message, of which a copy stays valid for as long as its answer takes. */
export interface Copied<M> extends ClientRequest {
  copy(): M;
}

export interface ExchangesOptions<From, M extends Copied<M>, Record> {
  /** Its mirror must be ready. */
  readonly store: ChangeStore<Record>;
  /** The address spaces, by the view of that mirror. */
  readonly spaces: AddressSpaces<From>;
  readonly log: Log;
  /** Sends a reply to a message, by the link that the message came from. */
  send(from: From, message: M, reply: Reply): void;
  /** Called after replies that had to wait for a commit, once for all of one shared transaction. */
  flush(): void;
  /** Called for a client of no network here, with the address that identifies its link where that is not our own. */
  readonly onUnknown?: (from: From, message: M, mac: string, link: number | undefined) => void;
  /** Called with the network that had no address left for a client. */
  readonly onExhausted?: ((network: Network) => void) | undefined;
  /** The clock of leases; absent: the system's. */
  readonly clock?: LeaseClock | undefined;
  /** Milliseconds since the epoch, as messages are stamped; for tests. */
  readonly systemTime?: () => number;
  /** A monotonic clock in milliseconds; for tests. */
  readonly monotonic?: () => number;
  /** How long a lease may take to be written, in ms; for tests. */
  readonly giveUpMs?: number;
}

/** The most leases that are being written at once; messages beyond that are dropped, and their clients retry. */
const MOST_PENDING = 4096;
/** An answer older than this many seconds is not sent: its client has retried by then. */
const MOST_LATE = 10;
/** How long a lease may take to write, in ms. After that its answer is not sent, and the client's next message is heard. */
const GIVE_UP = (MOST_LATE + 1) * 1000;
/** For how long it is remembered when the mirror showed a lease, in ms: longer than a message may have waited in the socket. */
const REMEMBERED = 3000;
/** How long to wait for the mirror to show what made a commit conflict, in milliseconds. */
const PATIENCE = 2000;

/** A lease that is being written. */
interface Attempt {
  /** When it began (performance.now()). */
  readonly since: number;
  /** True once it has taken too long: its answer is not sent, and nothing further is written for it. */
  over: boolean;
}

/**
 * The exchanges of messages between clients and this server: each lease is written to etcd, and only then its client is
 * answered. `From` is the link that a message came from.
 */
export class Exchanges<From, M extends Copied<M> = Message, Record = NexRecord> {
  readonly counts: DhcpdCounts = noCounts();
  readonly #options: ExchangesOptions<From, M, Record>;
  readonly #quiet = new OncePerMinute();
  /** By client and network, oldest first: leases that are being written and whose answer is still to be sent. */
  readonly #pending = new Map<string, Attempt>();
  /** How many leases are being written, including those that were given up and may still reach etcd. */
  #writing = 0;
  /** Resolves when no lease is being written; undefined while close() does not wait for that. */
  #idle: PromiseWithResolvers<void> | undefined;
  /** One timer for all leases: a timer for each would cost more than everything else that is done for it. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /**
   * By client and network, oldest first: when the mirror showed the client's present record, in ms since the epoch, and on
   * the monotonic clock.
   */
  readonly #shown = new Map<string, { readonly at: number; readonly since: number }>();
  readonly #clock: () => number;
  readonly #monotonic: () => number;
  readonly #unsubscribe: () => void;
  #flushing = false;

  constructor(options: ExchangesOptions<From, M, Record>) {
    this.#options = options;
    this.#clock = options.systemTime ?? Date.now;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#unsubscribe = options.spaces.subscribe((clients) => {
      const shown = { at: this.#clock(), since: this.#monotonic() };
      for (const { net, mac, offers } of clients) {
        const client = clientIn(net, mac);
        offers.drop(client);
        this.#shown.delete(client);
        this.#shown.set(client, shown);
      }
      this.#forgetShown();
    });
  }

  /** Handles a message. Its buffer may be used again when this returns. */
  take(from: From, arrival: Omit<Arrival<M>, "storeAway">): void {
    const { spaces, store } = this.#options;
    const name = typeNames[arrival.message.type];
    if (name) this.counts[name]++;
    // Handled as if a commit had failed: an address that a record of an unknown layout holds could be given away.
    const isForeign = spaces.isUnreadable(from);
    const storeAway = isForeign || !store.mirror.state.inSync;
    const known: Arrival<M> & { message: M } = { ...arrival, storeAway, tried: isForeign };
    const decision = this.#handle(from, known);
    if (decision.do !== "commit") this.#finish(from, known, decision);
    else if (isForeign) this.counts.ignored["store-away"]++;
    // A RELEASE or DECLINE ends the lease that its client had when it sent the message, not one that it was given since.
    else if (!decision.reply && this.#shownSince(decision.client, arrival.received)) {
      this.counts.ignored["not-held"]++;
    } else if (this.#pending.has(decision.client)) this.counts.ignored["in-flight"]++;
    else if (this.#writing >= MOST_PENDING) this.counts.ignored.overload++;
    else {
      known.message = arrival.message.copy();
      const attempt: Attempt = { since: performance.now(), over: false };
      this.#pending.set(decision.client, attempt);
      this.#timer ??= setTimeout(() => this.#giveUp(), this.#giveUpMs / 8);
      this.#writing++;
      void this.#commit(from, known, decision, attempt);
    }
  }

  /** Resolves when no lease is being written any more. */
  async close(): Promise<void> {
    if (this.#writing) await (this.#idle ??= Promise.withResolvers()).promise;
    clearTimeout(this.#timer);
    this.#unsubscribe();
  }

  get #giveUpMs(): number {
    return this.#options.giveUpMs ?? GIVE_UP;
  }

  /** True when the mirror has shown the client's present record after its message was received. */
  #shownSince(client: string, received: number): boolean {
    this.#forgetShown();
    return (this.#shown.get(client)?.at ?? 0) > received;
  }

  #forgetShown(): void {
    const now = this.#monotonic();
    for (const [client, { since }] of this.#shown) {
      if (now - since < REMEMBERED) break;
      this.#shown.delete(client);
    }
  }

  #handle(from: From, arrival: Arrival<M>): Decision {
    const { space, offers } = this.#options.spaces.of(from);
    return handle(space, offers, arrival);
  }

  /** Writes a lease and answers its client as the outcome demands; never rejects. */
  async #commit(from: From, arrival: Arrival<M>, planned: Commit, attempt: Attempt): Promise<void> {
    let decision: Decision = planned;
    try {
      const outcome = await this.#options.store.committer.commitGrouped(planned.plan);
      if (!outcome.committed) {
        decision = await this.#afterConflict(from, arrival, planned, attempt, outcome.current);
      }
    } catch (error) {
      decision = attempt.over
        ? { do: "ignore", why: "store-away" }
        : await this.#withoutStore(from, arrival, planned, error, attempt);
    }
    if (!attempt.over) {
      this.#pending.delete(planned.client);
      this.#finish(from, arrival, decision);
      this.#flushSoon();
    }
    if (--this.#writing) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /** Decides again once the mirror shows the keys that another process has written. */
  async #afterConflict(
    from: From,
    arrival: Arrival<M>,
    planned: Commit,
    attempt: Attempt,
    current: readonly Guard[],
  ): Promise<Decision> {
    this.counts.conflicts++;
    try {
      using limit = new TimeLimit(PATIENCE);
      await this.#options.store.mirror.caughtUp(current, { signal: limit.signal });
    } catch {
      // The mirror is behind for this client, so no lease is confirmed from it; the client will retry.
      return { do: "ignore", why: "store-away" };
    }
    return await this.#again(from, arrival, planned, attempt);
  }

  /**
   * Gives up leases that take too long to be written, so that their clients' next messages are heard. What was sent to etcd may
   * still be applied: the next plan is made from what the mirror shows by then.
   */
  #giveUp(): void {
    const ms = this.#giveUpMs, latest = performance.now() - ms;
    for (const [client, attempt] of this.#pending) {
      if (attempt.since > latest) break;
      attempt.over = true;
      this.#pending.delete(client);
      this.counts.failures++;
      this.counts.ignored.late++;
      if (!this.#quiet.due("given up")) continue;
      this.#options.log.error(
        `a lease could not be written in ${Math.round(ms / 1000)} s, and its client asks again: ` +
          "it may have been written, or may still be",
      );
    }
    this.#timer = this.#pending.size ? setTimeout(() => this.#giveUp(), ms / 8) : undefined;
  }

  /** Decides again, from what other processes have written meanwhile, and commits that. */
  async #again(from: From, arrival: Arrival<M>, planned: Commit, attempt: Attempt): Promise<Decision> {
    // A RELEASE or DECLINE was for the lease that it met: a lease that the client was given since then stays.
    if (!planned.reply) return { do: "ignore", why: "not-held" };
    let decision: Decision = { do: "ignore", why: "store-away" };
    await change(this.#options.store, () => {
      if (attempt.over) throw new Refusal("unavailable", "it took too long");
      decision = this.#handle(from, arrival);
      return decision.do === "commit" ? decision.plan : undefined;
    }, { grouped: true, patienceMs: PATIENCE, unconfirmed: true });
    return decision;
  }

  /** With etcd away, or its answer lost, a lease that the mirror shows may still be confirmed. */
  async #withoutStore(
    from: From,
    arrival: Arrival<M>,
    planned: Commit,
    error: unknown,
    attempt: Attempt,
  ): Promise<Decision> {
    this.counts.failures++;
    if (error instanceof UnknownOutcome) {
      try {
        return await this.#again(from, arrival, planned, attempt);
      } catch (later) {
        if (attempt.over) return { do: "ignore", why: "store-away" };
        error = later;
      }
    }
    if (this.#quiet.due("failure")) {
      this.#options.log.error(`a lease could not be written: ${messageOf(error)}`);
    }
    if (!planned.reply) return { do: "ignore", why: "store-away" };
    return this.#handle(from, { ...arrival, storeAway: true, tried: true });
  }

  #finish(from: From, { message, mac, now }: Arrival<M>, decision: Decision): void {
    if (decision.do === "ignore") {
      this.counts.ignored[decision.why]++;
      if (decision.why === "unknown-client") this.#options.onUnknown?.(from, message, mac, decision.link);
      if (!decision.network) return;
      if (decision.why === "exhausted") this.#exhausted(decision.network);
      if (decision.why === "no-address") this.#noAddress(decision.network, mac);
      if (decision.why === "static-declined") this.#declined(decision.network, message, mac, "a static");
    } else if (decision.reply) {
      const reply = this.#inTime(decision.reply, now);
      if (!reply) return void this.counts.ignored.late++;
      this.counts[replyNames[reply.type]]++;
      if (decision.do === "commit" && decision.named) this.counts.names[decision.named]++;
      this.#options.send(from, message, reply);
    } else if (decision.do === "commit" && decision.declined) {
      this.#declined(decision.declined, message, mac, "its");
    }
  }

  /**
   * A client counts its lease from when it receives the reply, so the time since `now` is subtracted. Undefined where the reply
   * is too late, or nothing of the lease is left.
   */
  #inTime(reply: Reply, now: number): Reply | undefined {
    const passed = Math.floor((this.#options.clock?.now() ?? this.#clock()) / 1000) - now;
    if (passed <= 0) return reply;
    if (passed > MOST_LATE) return undefined;
    if (reply.seconds === undefined) return reply;
    const seconds = reply.seconds - passed;
    return seconds > 0 ? { ...reply, seconds } : undefined;
  }

  #declined({ name: network }: Network, message: M, mac: string, whose: "its" | "a static"): void {
    if (!this.#quiet.due(`declined ${whose} ${network}`)) return;
    const address = Ip.from4(message.u32(Opt.requestedAddress) ?? 0).toString();
    this.#options.log.warn(
      { network, address, mac },
      `a client found ${whose} address in use by another machine`,
    );
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#options.flush();
    });
  }

  #noAddress({ name: network }: Network, mac: string): void {
    if (!this.#quiet.due(`no-address ${network}`)) return;
    this.#options.log.warn(
      { network, mac },
      "a member has no address, and its network no range to take one from",
    );
  }

  #exhausted(network: Network): void {
    this.#options.onExhausted?.(network);
    if (!this.#quiet.due(`exhausted ${network.name}`)) return;
    this.#options.log.warn(
      { network: network.name },
      "its pool is exhausted: no address is left for a client",
    );
  }
}
