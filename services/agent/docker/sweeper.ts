/** Deletes Docker endpoints that have had no interface for a while, because Docker's request to delete them was missed. */
import { repeat } from "../../common/async.ts";
import { messageOf } from "../../common/refusal.ts";
import type { Context } from "../context.ts";
import { OWN_NAMESPACE } from "../kernel/network_namespace.ts";
import type { DockerEndpoints } from "./endpoints.ts";

/** The interval between sweeps, as a part of the grace time. */
const PART = 1 / 4;

/**
 * Deletes endpoints that Docker has forgotten: those that have had no interface for the grace time. Docker announces
 * the deletion of each endpoint only once, and the agent may not have run then.
 */
export class ForgottenEndpoints {
  /** By id, since when the endpoint has had no interface, in ms. */
  #nowhere = new Map<string, number>();
  readonly #stop: () => Promise<void>;
  #closed = false;

  /** @param graceMs How long an endpoint may be without an interface. */
  constructor(
    private readonly context: Context,
    private readonly docker: Pick<DockerEndpoints, "delete">,
    private readonly graceMs: number,
  ) {
    this.#stop = repeat(() => graceMs * PART, () => this.sweep());
  }

  /** Checks all Docker endpoints once. */
  async sweep(): Promise<void> {
    const { view, host, kernel, storeGuard, store, log } = this.context;
    if (storeGuard.hold || !store.mirror.state.inSync) return;
    const all = view.endpointsOn(host.hostname).filter(({ record }) => record.strand_docker);
    // The agent's own namespace has the ends that Docker has not taken yet.
    if (!all.length) return this.#nowhere.clear();
    using own = kernel.inspect(OWN_NAMESPACE);
    const now = performance.now(), nowhere = new Map<string, number>();
    for (const { id, active, record } of all) {
      if (active && !own.has(record.target_veth_name)) continue;
      const since = this.#nowhere.get(id) ?? now;
      nowhere.set(id, since);
      if (now - since < this.graceMs || this.#closed) continue;
      try {
        await this.docker.delete(id);
        log.info({ endpoint: id }, `endpoint ${id} is deleted: Docker has forgotten it`);
      } catch (error) {
        log.warn(`endpoint ${id}, which Docker has forgotten, could not be deleted: ${messageOf(error)}`);
      }
    }
    this.#nowhere = nowhere;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#stop();
  }
}
