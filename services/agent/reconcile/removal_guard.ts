/** Asks etcd itself before something is removed from the kernel, since the mirror may have lost a key. */
import { Refusal } from "../../common/refusal.ts";
import type { HostNetwork } from "./host_network.ts";

/**
 * Confirms with etcd, before anything is removed from the kernel, that its absence in the mirror is real. Deleting
 * networks and endpoints leaves this host's own keys to its agent; losing the store's contents does not.
 */
export class RemovalGuard {
  constructor(private readonly network: HostNetwork) {}

  /** @throws Refusal "unavailable" when etcd cannot be asked, or this host is on hold; Error while etcd is losing keys */
  async confirm(): Promise<void> {
    const { id, context: { store, view, host, storeGuard } } = this.network;
    const keyOf = (network: string) => view.keys.hostNetwork(host.hostname, network);
    if (view.guard(keyOf(id)).modRevision === 0) {
      // This host's key was never written, so there is nothing to compare with.
      if (!storeGuard.networks.has(id)) return;
      // The key may be the first of many that are being lost, and the mirror may lag behind; etcd is asked for all of
      // them.
      const all = [...storeGuard.networks];
      const there = await store.current(all.map(keyOf));
      if (!storeGuard.verify(new Set(all.filter((_, i) => there[i]?.modRevision)))) {
        storeGuard.assertNotHeld();
      }
      return;
    }
    const [guard] = await store.current([keyOf(id)]);
    if (guard?.modRevision === 0) {
      throw new Error("etcd is losing this host's keys: the network is compared again");
    }
  }

  /** Returns the Refusal when etcd could not be asked; undefined when it confirmed the removal. */
  async unconfirmed(): Promise<Refusal | undefined> {
    try {
      await this.confirm();
      return undefined;
    } catch (error) {
      const away = error instanceof Refusal && error.code === "unavailable";
      if (this.network.context.storeGuard.hold || !away) throw error;
      return error;
    }
  }
}
