/**
 * Counts the packets of networks with egress that another program's rules have dropped on this host, from the
 * counters of host_rules.ts. It needs to know no rules, and so also finds those of iptables-legacy, and single ones.
 */
import { CounterGains } from "../kernel/traffic_counts.ts";
import type { COUNTERS } from "./host_rules.ts";

/** The kernel counts on while its counters are read: so small a part of the packets may only be under way. */
const UNDER_WAY = 0.001;
/** How long what was lost is told of after the last loss, in ms. */
const TOLD_FOR = 15_000;

/** The counters as read, in packets. */
export type Counted = ReadonlyMap<string, number>;

/** Packets that were lost between two readings, and all that were sent between them. */
export interface Loss {
  readonly lost: number;
  readonly sent: number;
}

/** The counts of passed and lost packets. */
export class LostPackets {
  /** Since the agent has started. */
  lost = 0;
  passed = 0;
  #gains = new CounterGains<string>();
  #last: { readonly loss: Loss; readonly at: number } | undefined;

  /** Takes a reading; a table that was made again counts from 0. @param now By performance.now(). */
  take(counted: Counted, now: number): void {
    const { isFresh } = this.#gains, gains = this.#gains.take(counted);
    if (isFresh) return;
    const since = (name: typeof COUNTERS[number]) => gains.get(name) ?? 0;
    const sent = since("begun"), passed = since("passed"), lost = sent - since("refused") - passed;
    this.passed += passed;
    if (lost <= sent * UNDER_WAY) return;
    this.lost += lost;
    this.#last = { loss: { lost, sent }, at: now };
  }

  /** The last loss, unless it is long ago. */
  recent(now: number): Loss | undefined {
    return this.#last && now - this.#last.at < TOLD_FOR ? this.#last.loss : undefined;
  }

  /** The table is gone. */
  reset(): void {
    this.#gains = new CounterGains();
    this.#last = undefined;
  }
}
