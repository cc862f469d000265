import type { Netlink } from "../../../ffi/netlink.ts";
import { openNftables } from "../../../ffi/netlink_nftables.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

type Timer = ReturnType<typeof setTimeout>;

/** How long a socket stays open after its last use, in ms. */
const LINGERS = 1000;

/**
 * Sockets for nf_tables in the networks' namespaces. When one is closed, the kernel first waits for what has been removed in
 * the namespace to be out of use, for tens of milliseconds in which this thread would stand still (nft_rcv_nl_event() in
 * net/netfilter/nf_tables_api.c). So a socket that has removed something stays open until that has been done.
 */
export class NftablesSockets {
  /** By the path of the namespace. */
  readonly #lingering = new Map<string, { identity: string; netlink: Netlink; timer: Timer }>();

  /**
   * Runs work with a socket.
   * @param removes True when the work removes something.
   * @throws SystemError where the kernel has no netfilter
   */
  async use<T>(
    namespace: NetworkNamespace,
    removes: boolean,
    work: (netlink: Netlink) => Promise<T>,
  ): Promise<T> {
    const { path, identity } = namespace;
    if (this.#lingering.get(path)?.identity !== identity) this.forget(path);
    const kept = this.#lingering.get(path);
    clearTimeout(kept?.timer);
    const netlink = kept?.netlink ?? openNftables(namespace.fd);
    try {
      return await work(netlink);
    } finally {
      if (kept || removes) this.#linger(path, identity, netlink);
      else netlink.close();
    }
  }

  /** Closes the socket of a namespace, which it would keep alive. */
  forget(path: string): void {
    const kept = this.#lingering.get(path);
    if (!kept) return;
    this.#lingering.delete(path);
    clearTimeout(kept.timer);
    kept.netlink.close();
  }

  close(): void {
    for (const path of [...this.#lingering.keys()]) this.forget(path);
  }

  #linger(path: string, identity: string, netlink: Netlink): void {
    // Metrics are read beside other work on the network.
    if (this.#lingering.get(path)?.netlink !== netlink) this.forget(path);
    const timer = setTimeout(() => this.forget(path), LINGERS);
    this.#lingering.set(path, { identity, netlink, timer });
  }
}
