/** Repairs the address claims of this host's networks in etcd at intervals, and deletes what is left of deleted networks. */
import { repeat } from "../../common/async.ts";
import { messageOf } from "../../common/refusal.ts";
import { planSweep, type UnusedClaims } from "../../overlay/sweep.ts";
import { planNamesLeft } from "../../overlay_names/delete_network.ts";
import { change } from "../../store/change.ts";
import type { AllocationRecord, NetworkRecord } from "../../store/sand_records.ts";
import type { Context } from "../context.ts";

/** The interval between two sweeps of a network, as a part of the time that an address may go unused. */
const PART = 1 / 4;

/**
 * Frees claimed addresses that no endpoint has, and claims addresses of endpoints that are not claimed: SAND's agents
 * leave both behind. Each host sweeps its own networks; guards in etcd keep two hosts from doing it twice. Of networks that
 * are gone every host removes the names and reservations, since SAND's agents do not know them.
 */
export class ClaimsSweeper {
  readonly #suspects = new Map<string, UnusedClaims>();
  /** Networks in which this host may have claimed addresses without having an endpoint. */
  readonly #more = new Set<string>();
  /** The records by which each network's claims were found right; removed when anything else of the network changes. */
  readonly #right = new Map<string, { network: NetworkRecord; claims: AllocationRecord | undefined }>();
  readonly #unsubscribe: () => void;
  readonly #stop: () => Promise<void>;
  #closed = false;

  /**
   * The networks of this host.
   * @param graceMs How long an address may be claimed without an endpoint.
   */
  constructor(
    private readonly context: Context,
    private readonly networks: () => Iterable<string>,
    private readonly graceMs: number,
  ) {
    this.#unsubscribe = context.view.subscribe((changes) => {
      for (const id of changes.keys()) this.#right.delete(id);
    });
    // The random part keeps hosts that were started together from sweeping at the same moment.
    this.#stop = repeat(() => graceMs * PART * (0.8 + Math.random() * 0.4), () => this.sweep());
  }

  /** Includes a network in each sweep until none of its addresses is without an endpoint. */
  include(network: string): void {
    this.#more.add(network);
  }

  /** Sweeps all networks once. */
  async sweep(): Promise<void> {
    const { log, storeGuard, view, store } = this.context;
    const networks = new Set([...this.networks(), ...this.#more]);
    for (const known of [this.#suspects, this.#right]) {
      for (const id of known.keys()) if (!networks.has(id)) known.delete(id);
    }
    for (const id of networks) {
      const network = view.network(id);
      if (!network) this.#more.delete(id);
      if (
        !network || view.broken(id) !== undefined || this.#closed || storeGuard.hold ||
        !store.mirror.state.inSync
      ) continue;
      // A thousand networks at once would have everything else of this process wait.
      if (!this.#more.has(id) && this.#isRight(id)) continue;
      const seen = this.#suspects.get(id) ?? new Map();
      let release = () => {};
      try {
        this.#more.delete(id);
        release = await store.hold(id);
        let swept = { freed: 0, claimed: 0 };
        await change(store, () => {
          storeGuard.assertNotHeld();
          const sweep = planSweep(view, network, seen, performance.now(), this.graceMs);
          const isRight = !sweep.plan && !sweep.suspects.size;
          if (isRight) this.#right.set(id, { network, claims: view.allocation(id) });
          // A retry after a conflict may find nothing left; the result of the round before it counts.
          if (sweep.plan) swept = sweep;
          this.#suspects.set(id, sweep.suspects);
          return sweep.plan;
        }, { unconfirmed: true });
        if (this.#suspects.get(id)?.size) this.#more.add(id);
        this.#tell(network.name, swept);
      } catch (error) {
        this.#more.add(id);
        log.warn(
          `the claimed addresses of network ${network.name} could not be checked: ${messageOf(error)}`,
        );
      } finally {
        release();
      }
    }
    await this.#sweepNames();
  }

  /** True when nothing has changed since the network's claims were found right, and no record is unreadable. */
  #isRight(id: string): boolean {
    const { view, store } = this.context, known = this.#right.get(id);
    if (!known || store.mirror.state.quarantined.size) return false;
    return known.network === view.network(id) && known.claims === view.allocation(id);
  }

  async #sweepNames(): Promise<void> {
    const { log, storeGuard, view, store } = this.context;
    for (const [name, id] of [...view.networkNames()]) {
      if (view.network(id) || this.#closed || storeGuard.hold || !store.mirror.state.inSync) continue;
      let release = () => {};
      try {
        release = await store.hold(id);
        const swept = await change(store, () => {
          storeGuard.assertNotHeld();
          return planNamesLeft(view, name);
        }, { unconfirmed: true });
        if (swept !== undefined) {
          log.info(`network ${name} was deleted: its name and reservations are removed too`);
        }
      } catch (error) {
        log.warn(
          `the name and reservations of the deleted network ${name} could not be removed: ${
            messageOf(error)
          }`,
        );
      } finally {
        release();
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await this.#stop();
  }

  #tell(name: string, { freed, claimed }: { freed: number; claimed: number }): void {
    if (!freed && !claimed) return;
    const { log, counters } = this.context;
    counters.swept.inc({ what: "freed" }, freed);
    counters.swept.inc({ what: "claimed" }, claimed);
    log.info(
      { freed, claimed },
      `network ${name}: its claimed addresses match its endpoints again`,
    );
  }
}
