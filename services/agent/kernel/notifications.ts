/**
 * What others change in the networks' namespaces, as the kernel tells of it. A socket for each namespace, all of them in
 * one epoll: the work of one thread, however many networks there are.
 */
import { Epoll, EventFd } from "../../../ffi/epoll.ts";
import { NetlinkEvents, type Notice } from "../../../ffi/netlink_events.ts";
import { namespaceIdentity } from "../../../ffi/netns.ts";
import { readable } from "../../../ffi/readable.ts";
import { delay } from "../../common/async.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { BRIDGE, VXLAN } from "../../overlay/state.ts";

/** Notifications are read so often at most, in ms: a storm of them costs no more than the sockets have room for. */
const EVERY = 100;
/** RFC 4291 §2.5.6: the kernel adds these by itself, and they are no part of a network's state. */
const LINK_LOCAL = Cidr.parse("fe80::/10");
const STOP = 0;
/** Of more entries that the agent sets at once nothing is told: their notifications would outgrow the socket's room. */
const MANY = 256;

/** All of a host's watched namespaces. */
export class Notifications {
  readonly #epoll = new Epoll();
  readonly #stop = new EventFd();
  readonly #watches = new Map<number, NamespaceWatch>();
  readonly #closing = new AbortController();
  #token = STOP;
  #failed = false;
  #running: Promise<void> | undefined;

  /**
   * @param onProblem Called once when a namespace cannot be watched, for want of descriptors, say, and when what was told
   * of one cannot be read.
   */
  constructor(private readonly onProblem: (error: unknown) => void) {
    this.#epoll.add(this.#stop.fd, STOP);
  }

  /**
   * Watches a namespace; undefined where that is not to be had.
   *
   * @param namespace a descriptor, which is not needed any longer afterwards
   * @param onForeign Called, perhaps often, when others have changed something.
   */
  watch(namespace: number, onForeign: () => void): NamespaceWatch | undefined {
    try {
      const watch = new NamespaceWatch(namespace, this, onForeign);
      this.#failed = false;
      return watch;
    } catch (error) {
      this.#tellOnce(error);
      return undefined;
    }
  }

  /** Reads what comes to a watch from now on. @returns what ends that */
  add(watch: NamespaceWatch): () => void {
    const token = this.#token = (this.#token + 1) >>> 0 || 1;
    this.#epoll.add(watch.fd, token);
    this.#watches.set(token, watch);
    this.#running ??= this.#run();
    return () => {
      if (this.#watches.delete(token)) this.#epoll.remove(watch.fd);
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#stop.signal();
    await this.#running;
    this.#epoll.close();
    this.#stop.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await readable(this.#epoll);
        for (let count = this.#epoll.capacity; count === this.#epoll.capacity && !signal.aborted;) {
          count = this.#epoll.wait(0);
          for (let i = 0; i < count; i++) this.#take(this.#epoll.token(i));
        }
      } catch (error) {
        this.#tellOnce(error);
      }
      await delay(EVERY, signal);
    }
  }

  /** What goes wrong with one namespace must not end the others' notifications. */
  #take(token: number): void {
    try {
      this.#watches.get(token)?.take();
    } catch (error) {
      this.#tellOnce(error);
    }
  }

  #tellOnce(error: unknown): void {
    if (!this.#failed) this.onProblem(error);
    this.#failed = true;
  }
}

/** The entries that operations set or remove; undefined: they change more than entries. */
interface Touched {
  readonly arp: Set<number>;
  readonly fdb: Set<number>;
}

/**
 * One network's namespace. What is told while operations of ours are carried out is theirs: of operations on the two
 * tables, what is about their entries; of others, everything. A change that somebody makes in these few milliseconds is
 * left to the periodic check.
 */
export class NamespaceWatch {
  readonly #events: NetlinkEvents;
  readonly #identity: string;
  /** Links' settings when they were last told, and whether they had a carrier. */
  readonly #links = new Map<number, { readonly settings: number; readonly carrier: boolean }>();
  readonly #ports = new Map<number, number>();
  /** Of vxlan0 and of br0. */
  #vxlan: number;
  #bridge: number;
  /** Addresses for which br0 answers ARP: it has other entries too, which containers can have come and go. */
  readonly #answered = new Set<number>();
  #own: Touched | "all" | undefined;
  readonly #forget: () => void;

  /** @see {@link Notifications.watch} */
  constructor(namespace: number, all: Notifications, private readonly onForeign: () => void) {
    this.#identity = namespaceIdentity(namespace);
    this.#events = new NetlinkEvents(namespace);
    try {
      this.#vxlan = this.#events.index(VXLAN);
      this.#bridge = this.#events.index(BRIDGE);
      this.#forget = all.add(this);
    } catch (error) {
      this.#events.close();
      throw error;
    }
  }

  get fd(): number {
    return this.#events.fd;
  }

  /** True for the namespace that is watched. */
  isOf(namespace: number): boolean {
    return namespaceIdentity(namespace) === this.#identity;
  }

  /** Reads what was told. */
  take(): void {
    let foreign = false;
    const whole = this.#events.read((notice) => foreign = this.#isForeign(notice) || foreign);
    // What was dropped may have been anything.
    if (foreign || !whole && this.#own !== "all") this.onForeign();
  }

  /** br0 answers ARP for these addresses, as was read. */
  answers(addresses: Iterable<number>): void {
    this.#answered.clear();
    for (const address of addresses) this.#answered.add(address);
  }

  /** Takes what was told until now as known, since all of the namespace is about to be read. */
  skip(): void {
    this.#events.read((notice) => this.#isForeign(notice));
  }

  /** Takes what is told from now on as the doing of these operations, until the returned function is called. */
  own(ops: readonly KernelOp[]): () => void {
    this.take();
    const many = ops.reduce((sum, op) => sum + ("entries" in op ? op.entries.size : 0), 0) > MANY;
    if (many) this.#events.tellNeighbours(false);
    this.#own = touchedBy(ops) ?? "all";
    for (const op of ops) {
      if (op.op === "proxy-remove") { for (const address of op.arp) this.#answered.delete(address); }
      if (op.op === "proxy-set") { for (const address of op.arp.keys()) this.#answered.add(address); }
    }
    return () => {
      this.take();
      this.#own = undefined;
      if (many) this.#events.tellNeighbours(true);
    };
  }

  close(): void {
    this.#forget();
    this.#events.close();
  }

  #isForeign(notice: Notice): boolean {
    switch (notice.about) {
      case "link":
        return this.#otherLink(notice) && this.#own !== "all";
      case "port":
        return this.#otherPort(notice) && this.#own !== "all";
      case "address": {
        const { address } = notice;
        return this.#own !== "all" && !(address.length === 16 && LINK_LOCAL.contains(new Ip(6, address)));
      }
      case "route":
        // The one that leads to the host.
        return this.#own !== "all" && notice.prefix === 0;
      case "bridge":
        return this.#own === undefined;
      default:
        if (notice.about === "arp" && notice.index === this.#bridge) {
          return this.#own === undefined && this.#answered.has(notice.key);
        }
        if (notice.index !== this.#vxlan || this.#own === "all") return false;
        return !this.#own?.[notice.about].has(notice.key);
    }
  }

  /** A carrier that comes is no change: it does so after each of our own links. */
  #otherLink({ index, name, kind, gone, carrier, settings }: Notice & { about: "link" }): boolean {
    const before = this.#links.get(index);
    if (name === VXLAN) this.#vxlan = gone ? 0 : index;
    if (name === BRIDGE) this.#bridge = gone ? 0 : index;
    if (gone) {
      this.#links.delete(index);
      this.#ports.delete(index);
      return true;
    }
    this.#links.set(index, { settings, carrier });
    return before?.settings !== settings || before.carrier && !carrier && kind !== "bridge";
  }

  #otherPort({ index, gone, settings }: Notice & { about: "port" }): boolean {
    const before = this.#ports.get(index);
    if (gone) this.#ports.delete(index);
    else this.#ports.set(index, settings);
    return gone || before !== settings;
  }
}

function touchedBy(ops: readonly KernelOp[]): Touched | undefined {
  const arp = new Set<number>(), fdb = new Set<number>();
  const add = (set: Set<number>, keys: Iterable<number>) => {
    for (const key of keys) set.add(key);
  };
  for (const op of ops) {
    switch (op.op) {
      case "arp-set":
        add(arp, op.entries.keys());
        break;
      case "arp-remove":
        add(arp, op.addresses);
        break;
      case "fdb-set":
        add(fdb, op.entries.keys());
        break;
      case "fdb-remove":
        add(fdb, op.macs);
        break;
      case "flood-remove":
        fdb.add(0);
        break;
      default:
        return undefined;
    }
  }
  return { arp, fdb };
}
