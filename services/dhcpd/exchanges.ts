import { type Log, OncePerMinute } from "../common/log.ts";
import { Ip } from "../common/ip.ts";
import { messageOf } from "../common/refusal.ts";
import type { Network } from "../nex/network.ts";
import type { LeaseClock } from "../nex/clocks.ts";
import type { View } from "../nex/view.ts";
import { change, type ChangeStore } from "../store/change.ts";
import { UnknownOutcome } from "../store/errors.ts";
import type { NexRecord } from "../store/records.ts";
import { type Counts, noCounts, replyNames, typeNames } from "./counters.ts";
import type { Message } from "./message.ts";
import { Opt } from "./numbers.ts";
import { Offers } from "./offers.ts";
import { type Arrival, clientIn, type Commit, handle, type Step } from "./protocol.ts";
import type { Reply } from "./reply.ts";

export interface ExchangesOptions<From> {
  /** Its mirror must have been read once. */
  readonly store: ChangeStore<NexRecord>;
  /** Of that mirror. */
  readonly view: View;
  readonly log: Log;
  /** Sends a reply to a message, back by where that came from. */
  send(from: From, message: Message, reply: Reply): void;
  /** Called when replies were sent that had to wait for a commit, once for all of one shared transaction. */
  flush(): void;
  /** Told of a client that no network here has, with the address that tells its link where that is not our own. */
  readonly onUnknown?: (from: From, message: Message, mac: string, link: number | undefined) => void;
  /** Told which network had no address left for a client. */
  readonly onExhausted?: ((network: Network) => void) | undefined;
  /** What leases are counted by; absent: the system's. */
  readonly clock?: LeaseClock | undefined;
  /** Milliseconds since the epoch, as messages are stamped; for tests. */
  readonly systemTime?: () => number;
}

/** Leases being written at once; a client beyond that is not heard, and asks again. */
const MOST_PENDING = 4096;
/** An answer is not sent when more seconds have passed since its message came: the client has asked again. */
const MOST_LATE = 10;
/** So long, in ms, it is remembered when a lease became known: longer than a message may have waited for us. */
const REMEMBERED = 3000;
/** How long to wait for the mirror to show what made a commit conflict, in milliseconds. */
const PATIENCE = 2000;

/** Takes messages in, writes what they call for, and only then answers. `From` is where a message came from. */
export class Exchanges<From> {
  readonly counts: Counts = noCounts();
  readonly #options: ExchangesOptions<From>;
  readonly #offers = new Offers();
  readonly #quiet = new OncePerMinute();
  /** By client and network: leases being written. */
  readonly #pending = new Map<string, Promise<void>>();
  /** By client and network, oldest first: when the mirror showed the client's present record, in ms since the epoch. */
  readonly #shown = new Map<string, number>();
  readonly #clock: () => number;
  readonly #unsubscribe: () => void;
  #flushing = false;

  constructor(options: ExchangesOptions<From>) {
    this.#options = options;
    this.#clock = options.systemTime ?? Date.now;
    this.#unsubscribe = options.view.subscribe(({ members }) => {
      const now = this.#clock();
      for (const { after } of members) {
        if (!after) continue;
        const client = clientIn(after.net ?? "", after.mac);
        this.#offers.drop(client);
        this.#shown.delete(client);
        this.#shown.set(client, now);
      }
      for (const [client, at] of this.#shown) {
        if (now - at < REMEMBERED) break;
        this.#shown.delete(client);
      }
    });
  }

  /** The message of `arrival` may be used for another one when this returns. */
  take(from: From, arrival: Omit<Arrival, "storeAway">): void {
    const { view, store } = this.#options;
    const name = typeNames[arrival.message.type];
    if (name) this.counts[name]++;
    const known = { ...arrival, storeAway: !store.mirror.state.inStep };
    const step = handle(view, this.#offers, known);
    if (step.do !== "commit") this.#finish(from, known, step);
    // A release or decline ends the lease that its client had when it was sent, not one that it has got since.
    else if (!step.reply && (this.#shown.get(step.client) ?? 0) > arrival.received) {
      this.counts.ignored["not-held"]++;
    } else if (this.#pending.has(step.client)) this.counts.ignored["in-flight"]++;
    else if (this.#pending.size >= MOST_PENDING) this.counts.ignored.overload++;
    else {
      const kept = { ...known, message: arrival.message.copy() };
      this.#pending.set(step.client, this.#commit(from, kept, step));
    }
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    await Promise.all(this.#pending.values());
    this.#unsubscribe();
  }

  /** Never rejects. */
  async #commit(from: From, arrival: Arrival, planned: Commit): Promise<void> {
    const { committer, mirror } = this.#options.store;
    let step: Step = planned, outdated = false;
    try {
      const outcome = await committer.commitGrouped(planned.plan);
      if (!outcome.committed) {
        this.counts.conflicts++;
        outdated = true;
        await mirror.caughtUp(outcome.current, { signal: AbortSignal.timeout(PATIENCE) });
        outdated = false;
        step = await this.#again(arrival, planned);
      }
    } catch (error) {
      // What the view shows of this client is known to be old: nothing is confirmed from it, and the client asks again.
      step = outdated
        ? { do: "ignore", why: "store-away" }
        : await this.#withoutStore(arrival, planned, error);
    }
    this.#pending.delete(planned.client);
    this.#finish(from, arrival, step);
    this.#flushSoon();
  }

  /** Decides anew, from what others have written meanwhile, and commits that. */
  async #again(arrival: Arrival, planned: Commit): Promise<Step> {
    // A release or decline was of the lease that it met: what the client got since then is not its business.
    if (!planned.reply) return { do: "ignore", why: "not-held" };
    let step: Step = { do: "ignore", why: "store-away" };
    await change(this.#options.store, () => {
      step = handle(this.#options.view, this.#offers, arrival);
      return step.do === "commit" ? step.plan : undefined;
    }, { grouped: true, patienceMs: PATIENCE, unconfirmed: true });
    return step;
  }

  /** With etcd away, or its word lost, what was known before may still be confirmed. */
  async #withoutStore(arrival: Arrival, planned: Commit, error: unknown): Promise<Step> {
    this.counts.failures++;
    if (error instanceof UnknownOutcome) {
      try {
        return await this.#again(arrival, planned);
      } catch (later) {
        error = later;
      }
    }
    if (this.#quiet.due("failure")) {
      this.#options.log.error(`a lease could not be written: ${messageOf(error)}`);
    }
    if (!planned.reply) return { do: "ignore", why: "store-away" };
    return handle(this.#options.view, this.#offers, { ...arrival, storeAway: true, tried: true });
  }

  #finish(from: From, { message, mac, now }: Arrival, step: Step): void {
    if (step.do === "ignore") {
      this.counts.ignored[step.why]++;
      if (step.why === "unknown-client") this.#options.onUnknown?.(from, message, mac, step.link);
      if (!step.network) return;
      if (step.why === "exhausted") this.#exhausted(step.network);
      if (step.why === "no-address") this.#noAddress(step.network, mac);
      if (step.why === "static-declined") this.#declined(step.network, message, mac, "a static");
    } else if (step.reply) {
      const reply = this.#inTime(step.reply, now);
      if (!reply) return void this.counts.ignored.late++;
      this.counts[replyNames[reply.type]]++;
      this.#options.send(from, message, reply);
    } else if (step.do === "commit" && step.declined) {
      this.#declined(step.declined, message, mac, "its");
    }
  }

  /**
   * A client counts its lease from when it is told: what passed since `now` is taken off. Undefined when the reply, or
   * what is left of the lease, comes too late.
   */
  #inTime(reply: Reply, now: number): Reply | undefined {
    const passed = Math.floor((this.#options.clock?.now() ?? this.#clock()) / 1000) - now;
    if (passed <= 0) return reply;
    if (passed > MOST_LATE) return undefined;
    if (reply.seconds === undefined) return reply;
    const seconds = reply.seconds - passed;
    return seconds > 0 ? { ...reply, seconds } : undefined;
  }

  #declined({ name: network }: Network, message: Message, mac: string, whose: "its" | "a static"): void {
    if (!this.#quiet.due(`declined ${whose} ${network}`)) return;
    const address = Ip.from4(message.u32(Opt.requestedAddress) ?? 0).toString();
    this.#options.log.warn(
      { network, address, mac },
      `a client found ${whose} address in use by somebody else`,
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
