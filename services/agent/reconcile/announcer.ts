/**
 * Announces to a network's containers on this host when an address has got another MAC, since they would go on
 * sending to the old one.
 */
import type { EndpointChange } from "../../overlay/network_change.ts";

/**
 * How many addresses are announced at once, and the pause before the next ones in ms: each announcement goes to every
 * port of the bridge.
 */
const AT_ONCE = 32, PAUSE = 100;
/** The most addresses that are remembered without an endpoint, or that wait to be announced. */
const MOST = 4096;

/**
 * One network's announcements. An endpoint that moves is deleted and created again, so the MAC of an address is
 * remembered while no endpoint has it.
 */
export class Announcer {
  /** Addresses without an active endpoint → the MAC of the last one. */
  readonly #left = new Map<number, number>();
  readonly #waiting = new Map<number, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @param send Announces some pairs of address and MAC, both as numbers. */
  constructor(private readonly send: (pairs: ReadonlyMap<number, number>) => void) {}

  /**
   * Finds the addresses whose MAC differs after some applied changes, and announces these.
   *
   * @param macOf The MAC that an address has now; undefined when no active endpoint has it.
   */
  notice(changes: readonly EndpointChange[], macOf: (address: number) => number | undefined): void {
    const before = new Map<number, number | undefined>();
    for (const change of changes) {
      for (const endpoint of [change.before, change.after]) {
        if (!endpoint || endpoint.hot.address < 0) continue;
        const { active, hot: { address, mac } } = endpoint;
        const had = endpoint === change.before && active ? mac : undefined;
        before.set(address, before.get(address) ?? had);
      }
    }
    for (const [address, had] of before) {
      const last = this.#left.get(address) ?? had, mac = macOf(address);
      this.#left.delete(address);
      if (mac === undefined) { if (last !== undefined) remember(this.#left, address, last); }
      else if (last !== undefined && last !== mac) this.announce(address, mac);
    }
  }

  /** Announces a pair, after those that wait already. */
  announce(address: number, mac: number): void {
    if (this.#closed) return;
    remember(this.#waiting, address, mac);
    this.#timer ??= setTimeout(() => this.#drain());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #drain(): void {
    const some = new Map(this.#waiting.entries().take(AT_ONCE));
    for (const address of some.keys()) this.#waiting.delete(address);
    this.#timer = some.size ? setTimeout(() => this.#drain(), PAUSE) : undefined;
    if (some.size) this.send(some);
  }
}

/** Adds a pair; the oldest are dropped beyond the limit. */
function remember(pairs: Map<number, number>, address: number, mac: number): void {
  pairs.delete(address);
  pairs.set(address, mac);
  const [oldest] = pairs.keys();
  if (pairs.size > MOST && oldest !== undefined) pairs.delete(oldest);
}
