import { messageOf, Refusal } from "../../common/refusal.ts";
import { isNetworkId } from "../../overlay/faults.ts";
import { planFinishDeletion } from "../../overlay/networks.ts";
import type { NetworkChange } from "../../overlay/view.ts";
import { change } from "../../store/change.ts";
import { delay } from "../../common/async.ts";
import type { Context } from "../context.ts";
import { NetworkWorker } from "./network.ts";
import type { CompareReason } from "./reason.ts";

/** The least time between two tries of what etcd could not be asked about, in ms. */
const LATER_MS = 1_000;

/** A network's worker that stays until it is released. */
export interface Using {
  readonly worker: NetworkWorker;
  release(): void;
}

/** The networks that this host has anything to do with, each with its worker and followed in etcd. */
export class Workers {
  readonly #context: Context;
  readonly #workers = new Map<string, NetworkWorker>();
  /** Networks whose deletion waits for an old agent. */
  readonly #ending = new Set<string>();
  readonly #closing = new AbortController();
  #stop: () => void = () => {};
  /** What was put off is about to be tried again. */
  #later: Promise<void> | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Takes up every network that the store has on this host, or that the host's kernel has, and brings each to what the
   * store says; from then on it follows the changes.
   *
   * @param inKernel Networks that have a namespace here.
   */
  async start(inKernel: readonly string[]): Promise<void> {
    const { view, host } = this.#context;
    this.#stop(); // Of a try before, during which etcd went away.
    this.#stop = view.subscribe((changes) => this.#notice(changes));
    const ids = new Set(inKernel);
    for (const { network } of view.endpointsOn(host.hostname)) ids.add(network);
    for (const network of view.networksOn(host.hostname)) ids.add(network);
    await this.#takeUp([...ids]);
    for (const id of view.deleted) this.#attempt(id, this.#finishDeletion(id));
    await this.compareAll("start");
  }

  has(network: string): boolean {
    return this.#workers.has(network);
  }

  get(network: string): NetworkWorker | undefined {
    return this.#workers.get(network);
  }

  all(): IterableIterator<NetworkWorker> {
    return this.#workers.values();
  }

  /** Keeps a network's worker for what is done next, and makes one where there is none. Throws Refusal "unavailable". */
  async use(network: string): Promise<Using> {
    if (!isNetworkId(network)) throw new Refusal("not-found", `there is no network "${network}"`);
    if (!this.#workers.has(network)) await this.#takeUp([network]);
    // Another may have been quicker, and be done with it.
    const worker = this.#workers.get(network);
    if (!worker) return await this.use(network);
    return { worker, release: worker.use() };
  }

  /** Resolves when nothing is left to be done for the network here. */
  async idle(network: string): Promise<void> {
    await this.#workers.get(network)?.idle();
  }

  /** Compares every network with the kernel. */
  async compareAll(reason: CompareReason): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.compare(reason)));
  }

  async close(): Promise<void> {
    this.#stop();
    this.#closing.abort();
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }

  /** Takes up what has come in while etcd could not be asked for the rest of it, or was not believed. */
  async takeUpMissing(): Promise<void> {
    const { view, host } = this.#context;
    for (const id of view.deleted) this.#attempt(id, this.#finishDeletion(id));
    const missing = new Set(view.endpointsOn(host.hostname).map(({ network }) => network));
    for (const id of this.#workers.keys()) missing.delete(id);
    if (missing.size) await this.#takeUp([...missing], true);
  }

  async #takeUp(all: readonly string[], compare = false): Promise<void> {
    const { store } = this.#context;
    // An id becomes a part of a path on this host: what another host has put in its place leads nowhere.
    const ids = all.filter(isNetworkId);
    // All in one go; each is then held by its worker alone.
    const letGo = await store.holdAll(ids);
    try {
      for (const id of ids) {
        const release = await store.hold(id);
        if (this.#workers.has(id)) {
          release();
          continue;
        }
        const worker = new NetworkWorker(id, this.#context, () => {
          if (this.#workers.get(id) !== worker) return;
          this.#workers.delete(id);
          release();
          void worker.close();
        });
        this.#workers.set(id, worker);
        if (compare) void worker.compare("change");
      }
    } finally {
      letGo();
    }
  }

  #notice(changes: ReadonlyMap<string, NetworkChange>): void {
    const { view, host, storeGuard } = this.#context;
    if (!storeGuard.verify()) {
      for (const [id, about] of changes) this.#workers.get(id)?.noticeWhileHeld(about);
      return;
    }
    for (const [id, about] of changes) {
      const worker = this.#workers.get(id);
      if (worker) worker.notice(about);
      else if (view.space(id).endpointsOn(host.hostname).size) this.#attempt(id, this.#takeUp([id], true));
      if (view.deleted.has(id)) this.#attempt(id, this.#finishDeletion(id));
    }
  }

  /** What etcd's absence keeps from being done now is done as soon as it is back, what else does by a later check. */
  #attempt(network: string | undefined, work: Promise<void>): void {
    work.catch((error) => {
      this.#context.log.debug({ network }, `put off: ${messageOf(error)}`);
      if (error instanceof Refusal && error.code === "unavailable") this.#takeUpLater();
    });
  }

  #takeUpLater(): void {
    const { store: { mirror }, storeGuard } = this.#context, { signal } = this.#closing;
    this.#later ??= delay(LATER_MS, signal).then(() => mirror.inSync({ signal })).then(() => {
      this.#later = undefined;
      if (!storeGuard.hold) this.#attempt(undefined, this.takeUpMissing());
    }, () => {}); // It is being closed.
  }

  /** A network that was deleted while a host with an old agent had it goes with the last such host. */
  async #finishDeletion(id: string): Promise<void> {
    const { store, view, storeGuard } = this.#context;
    if (this.#ending.has(id)) return;
    this.#ending.add(id);
    const release = await store.hold(id).catch((error) => {
      this.#ending.delete(id);
      throw error;
    });
    try {
      while (view.deleted.has(id) && !this.#closing.signal.aborted) {
        await change(store, () => {
          storeGuard.assertNotHeld();
          return planFinishDeletion(view, id);
        }, { unconfirmed: true });
        if (view.deleted.has(id)) await this.#changed(id);
      }
    } finally {
      release();
      this.#ending.delete(id);
    }
  }

  /** Resolves when the network changes in the store, or this ends. */
  #changed(id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.#context.view.subscribe((changes) => changes.has(id) && resolve());
    const { signal } = this.#closing, end = () => resolve();
    signal.addEventListener("abort", end, { once: true });
    return promise.finally(() => {
      signal.removeEventListener("abort", end);
      stop();
    });
  }
}
