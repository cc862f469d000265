import { messageOf } from "../common/refusal.ts";
import { planSweep, type Suspects } from "../overlay/sweep.ts";
import { change } from "../store/change.ts";
import type { Context } from "./context.ts";

/** How often the addresses of a network are looked through, as a part of the time that one may go unused. */
const PART = 1 / 4;

/**
 * Gives back addresses that no endpoint has, and claims those that endpoints have: agents of old do neither right. Each
 * host does it for its own networks, whoever comes first.
 */
export class ClaimsSweeper {
  readonly #suspects = new Map<string, Suspects>();
  /** Networks that this host may have taken addresses of without having an endpoint in them. */
  readonly #more = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  /**
   * @param networks Those that this host has.
   * @param graceMs How long an address may be taken without an endpoint.
   */
  constructor(
    private readonly context: Context,
    private readonly networks: () => Iterable<string>,
    private readonly graceMs: number,
  ) {
    this.#next();
  }

  #next(): void {
    // Hosts that were started together do not all come at once.
    const wait = this.graceMs * PART * (0.8 + Math.random() * 0.4);
    this.#timer = setTimeout(() => {
      this.#running = this.sweep().finally(() => this.#closed || this.#next());
    }, wait);
  }

  /** Includes a network in each sweep until none of its addresses is without an endpoint. */
  include(network: string): void {
    this.#more.add(network);
  }

  /** Looks through all networks once. */
  async sweep(): Promise<void> {
    const { log, storeGuard, view, store } = this.context;
    const networks = new Set([...this.networks(), ...this.#more]);
    for (const id of this.#suspects.keys()) if (!networks.has(id)) this.#suspects.delete(id);
    for (const id of networks) {
      const network = view.network(id);
      if (!network) this.#more.delete(id);
      if (
        !network || view.broken(id) !== undefined || this.#closed || storeGuard.hold ||
        !store.mirror.state.inSync
      ) continue;
      const seen = this.#suspects.get(id) ?? new Map();
      let release = () => {};
      try {
        this.#more.delete(id);
        release = await store.hold(id);
        let swept = { freed: 0, claimed: 0 };
        await change(store, () => {
          storeGuard.assertNotHeld();
          const sweep = planSweep(view, network, seen, performance.now(), this.graceMs);
          // A further round finds nothing left: what the one before it did counts.
          if (sweep.plan) swept = sweep;
          this.#suspects.set(id, sweep.suspects);
          return sweep.plan;
        }, { unconfirmed: true });
        if (this.#suspects.get(id)?.size) this.#more.add(id);
        this.#tell(network.name, swept);
      } catch (error) {
        this.#more.add(id);
        log.warn(`the addresses of network ${network.name} could not be looked through: ${messageOf(error)}`);
      } finally {
        release();
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #tell(name: string, { freed, claimed }: { freed: number; claimed: number }): void {
    if (!freed && !claimed) return;
    const { log, counters } = this.context;
    counters.swept.inc({ what: "freed" }, freed);
    counters.swept.inc({ what: "claimed" }, claimed);
    log.info(
      { freed, claimed },
      `network ${name}: its taken addresses are those of its endpoints again`,
    );
  }
}
