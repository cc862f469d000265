/** The networks that this host has, with a worker for each. Events of the store are passed on to the worker of their network. */
import { collectGarbage, releaseMemory } from "../../../ffi/release_memory.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { isNetworkId } from "../../overlay/faults.ts";
import { planFinishDeletion } from "../../overlay/networks.ts";
import type { NetworkChange } from "../../overlay/network_change.ts";
import { change } from "../../store/change.ts";
import { delay } from "../../common/async.ts";
import type { Context } from "../context.ts";
import { NetworkWorker } from "./network.ts";
import type { CompareReason } from "./reason.ts";

/**
 * Networks that are compared with the kernel at once. Of a thousand that are begun together, the objects would outlive the
 * young generation of V8's heap, and what they write to etcd its deadline.
 */
export const COMPARED_AT_ONCE = 16;
/** The least time between two tries of work that failed because etcd was out of reach, in ms. */
const LATER_MS = 1_000;

/** A network's worker that is kept until it is released. */
export interface Using {
  readonly worker: NetworkWorker;
  release(): void;
}

/** The networks of this host, each with its worker; their endpoints are followed in etcd while the worker exists. */
export class Workers {
  readonly #context: Context;
  readonly #workers = new Map<string, NetworkWorker>();
  /** Networks whose deletion waits for a SAND agent. */
  readonly #ending = new Set<string>();
  readonly #closing = new AbortController();
  #stop: () => void = () => {};
  /** The pending retry of delayed work. */
  #later: Promise<void> | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Starts a worker for every network that etcd lists on this host, or that the kernel or a port of this host has, and brings
   * each into the state that etcd describes; from then on changes are followed.
   *
   * @param inKernel Networks that have a namespace here.
   */
  async start(inKernel: readonly string[]): Promise<void> {
    const { view, host, store, ports } = this.#context;
    this.#stop(); // Ends an earlier attempt, which failed because etcd went away.
    const ids = new Set([...inKernel, ...ports.networks()]);
    for (const { network } of view.endpointsOn(host.hostname)) ids.add(network);
    for (const network of view.networksOn(host.hostname)) ids.add(network);
    // The records are listed before changes are followed. Else the listing would count as a change of each network, and
    // each would be compared twice.
    const letGo = await store.holdAll([...ids].filter(isNetworkId));
    this.#stop = view.subscribe((changes) => this.#notice(changes));
    await this.#startWorkers([...ids]).finally(letGo);
    await this.startMissing();
    // What the listing has left is not to be beside what the comparisons leave.
    collectGarbage();
    await this.compareAll("start");
    // The comparisons of a thousand networks leave much garbage, and no request is served yet.
    releaseMemory();
  }

  has(network: string): boolean {
    return this.#workers.has(network);
  }

  get(network: string): NetworkWorker | undefined {
    return this.#workers.get(network);
  }

  /** Tests whether a network has a link of that name; undefined for one that is not watched here. */
  readonly hasLink = (network: string, name: string) => this.#workers.get(network)?.hasLink(name);

  all(): IterableIterator<NetworkWorker> {
    return this.#workers.values();
  }

  /** Keeps a network's worker for a request, and creates it where there is none. Throws Refusal "unavailable". */
  async use(network: string): Promise<Using> {
    if (!isNetworkId(network)) throw new Refusal("not-found", `there is no network "${network}"`);
    if (!this.#workers.has(network)) await this.#startWorkers([network]);
    // Another request may have created the worker meanwhile, and be done with it.
    const worker = this.#workers.get(network);
    if (!worker) return await this.use(network);
    return { worker, release: worker.use() };
  }

  /** Resolves when no work is left for the network here. */
  async idle(network: string): Promise<void> {
    await this.#workers.get(network)?.idle();
  }

  /** Compares every network with the kernel. */
  async compareAll(reason: CompareReason): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.compare(reason)));
  }

  /** After a hold: applies what it has delayed. */
  async resume(): Promise<void> {
    for (const worker of this.#workers.values()) worker.startOver();
    await Promise.all([this.startMissing(), this.compareAll("start")]);
  }

  async close(): Promise<void> {
    this.#stop();
    this.#closing.abort();
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }

  /** Starts workers for networks that were added while etcd was out of reach or this host on hold. */
  async startMissing(): Promise<void> {
    const { view, host } = this.#context;
    for (const id of view.deleted) this.#attempt(id, this.#finishDeletion(id));
    const missing = new Set(view.endpointsOn(host.hostname).map(({ network }) => network));
    for (const id of this.#workers.keys()) missing.delete(id);
    if (missing.size) await this.#startWorkers([...missing], true);
  }

  async #startWorkers(all: readonly string[], compare = false): Promise<void> {
    const { store } = this.#context;
    // An id becomes part of a path on this host, so an invalid one that another host wrote must not be used.
    const ids = all.filter(isNetworkId);
    // All are followed with one call; then each worker keeps its own.
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
      for (const id of changes.keys()) this.#workers.get(id)?.startOver();
      return;
    }
    for (const [id, about] of changes) {
      const worker = this.#workers.get(id);
      if (worker) worker.notice(about);
      else if (view.space(id).endpointsOn(host.hostname).size) {
        this.#attempt(id, this.#startWorkers([id], true));
      }
      if (view.deleted.has(id)) this.#attempt(id, this.#finishDeletion(id));
    }
  }

  /**
   * Runs delayed work: what fails because etcd is out of reach is tried again when it is back, anything else at a
   * later check.
   */
  #attempt(network: string | undefined, work: Promise<void>): void {
    work.catch((error) => {
      this.#context.log.debug({ network }, `delayed until etcd is back: ${messageOf(error)}`);
      if (error instanceof Refusal && error.code === "unavailable") this.#startMissingLater();
    });
  }

  #startMissingLater(): void {
    const { store: { mirror }, storeGuard } = this.#context, { signal } = this.#closing;
    this.#later ??= delay(LATER_MS, signal).then(() => mirror.inSync({ signal })).then(() => {
      this.#later = undefined;
      if (!storeGuard.hold) this.#attempt(undefined, this.startMissing());
    }, () => {}); // The agent is closing.
  }

  /** Finishes the deletion of a network when the last host with a SAND agent has left it. */
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

  /** Resolves when the network changes in etcd, or the worker set is closed. */
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
