/** An open network namespace with the netlink requests that the agent makes in it. */
import { ENOTDIR, SystemError } from "../../../ffi/errno.ts";
import { libc } from "../../../ffi/libc.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { findLink, type Link } from "../../../ffi/netlink_links.ts";
import {
  createNamespace,
  NamespaceError,
  namespaceIdentity,
  openNamespaceIfAny,
} from "../../../ffi/netns.ts";

/** The path of the network namespace that this process runs in. */
export const OWN_NAMESPACE = "/proc/thread-self/ns/net";

/** The namespace at a path no longer exists: it ended with its container or by a reboot. */
export class NamespaceGone extends Error {
  override readonly name = "NamespaceGone";
  constructor(readonly path: string) {
    super(`there is no network namespace at ${path} any more`);
  }
}

/**
 * An open network namespace. It is opened for each use, which costs 60 µs, so that a namespace which replaced it at
 * the path is never mistaken for it, and a deleted one is not kept alive.
 */
export class NetworkNamespace implements Disposable {
  #netlink: Netlink | undefined;
  #identity: string | undefined;
  readonly #indexes = new Map<string, number>();

  /**
   * @param fd The descriptor of the namespace, which is closed with this object.
   * @param isBrief As in the constructor of {@link Netlink}.
   */
  constructor(readonly path: string, readonly fd: number, readonly isBrief = false) {}

  /** @throws NamespaceGone; what openNamespace() throws */
  static open(path: string): NetworkNamespace {
    const namespace = NetworkNamespace.openIfAny(path);
    if (!namespace) throw new NamespaceGone(path);
    return namespace;
  }

  /** Undefined when nothing is at the path. @throws what openNamespaceIfAny() throws */
  static openIfAny(path: string, isBrief = false): NetworkNamespace | undefined {
    const fd = openNamespaceIfAny(path);
    return fd === undefined ? undefined : new NetworkNamespace(path, fd, isBrief);
  }

  /**
   * Undefined when no namespace is at the path, also when something else is. @throws SystemError when that cannot be
   * determined
   */
  static openOrNone(path: string, isBrief = false): NetworkNamespace | undefined {
    try {
      return NetworkNamespace.openIfAny(path, isBrief);
    } catch (error) {
      if (error instanceof NamespaceError) return undefined;
      if (error instanceof SystemError && error.errno === ENOTDIR) return undefined;
      throw error;
    }
  }

  /** Creates the namespace, and the directory of its path. */
  static create(path: string): NetworkNamespace {
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: true });
    return new NetworkNamespace(path, createNamespace(path));
  }

  get netlink(): Netlink {
    return this.#netlink ??= this.newNetlink();
  }

  /** Opens another socket than {@link netlink}, which the caller closes. */
  newNetlink(): Netlink {
    return new Netlink(this.fd, undefined, this.isBrief);
  }

  link(link: number | string): Promise<Link | undefined> {
    return findLink(this.netlink, link);
  }

  /** The identity of the namespace, see namespaceIdentity(). */
  get identity(): string {
    return this.#identity ??= namespaceIdentity(this.fd);
  }

  /**
   * True when a link of that name exists. This asks for the index alone, which does not wait for the kernel's RTNL
   * lock.
   */
  has(name: string): boolean {
    return this.netlink.index(name) !== 0;
  }

  /** The index of a link that must exist. */
  index(name: string): number {
    const index = this.#indexes.get(name) ?? this.netlink.index(name);
    if (index === 0) throw new Error(`there is no ${name} in ${this.path}`);
    this.#indexes.set(name, index);
    return index;
  }

  /** Drops the cached index of a name that another link may have from now on. */
  forget(name: string): void {
    this.#indexes.delete(name);
  }

  [Symbol.dispose](): void {
    this.#netlink?.close();
    libc.close(this.fd);
  }
}
