/** Shares one nf_tables socket for each network's namespace, and chooses the moment to close it. */
import type { Netlink } from "../../../ffi/netlink.ts";
import { openNftables } from "../../../ffi/netlink_nftables.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

type Timer = ReturnType<typeof setTimeout>;

/** How long a socket stays open after its last use, in ms. */
const LINGERS = 1000;

/** A socket that is open. */
interface Open {
  readonly identity: string;
  readonly netlink: Netlink;
  /** How many use it now. */
  users: number;
  /** True once something was removed by it. */
  lingers: boolean;
  timer: Timer | undefined;
}

/**
 * Sockets for nf_tables in the networks' namespaces: one in each at most, which all share that use it at the same time. When one is
 * closed, the kernel first waits for what has been removed in the namespace to be out of use, for tens of milliseconds in which
 * this thread would stand still (nft_rcv_nl_event() in net/netfilter/nf_tables_api.c). So a socket that has removed something
 * stays open until that has been done.
 */
export class NftablesSockets {
  /** By the path of the namespace. */
  readonly #open = new Map<string, Open>();

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
    if (this.#open.get(path)?.identity !== identity) this.forget(path);
    let open = this.#open.get(path);
    if (!open) {
      open = { identity, netlink: openNftables(namespace.fd), users: 0, lingers: false, timer: undefined };
      this.#open.set(path, open);
    }
    clearTimeout(open.timer);
    open.users++;
    open.lingers ||= removes;
    try {
      return await work(open.netlink);
    } finally {
      if (--open.users === 0) this.#letGo(path, open);
    }
  }

  /** Closes the socket of a namespace, which it would keep alive, once nothing uses it. */
  forget(path: string): void {
    const open = this.#open.get(path);
    if (!open) return;
    this.#open.delete(path);
    clearTimeout(open.timer);
    if (open.users === 0) open.netlink.close();
  }

  close(): void {
    for (const path of [...this.#open.keys()]) this.forget(path);
  }

  #letGo(path: string, open: Open): void {
    const isKept = this.#open.get(path) === open;
    if (isKept && open.lingers) open.timer = setTimeout(() => this.forget(path), LINGERS);
    else {
      if (isKept) this.#open.delete(path);
      open.netlink.close();
    }
  }
}
