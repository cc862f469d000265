/**
 * Reads the kernel's notifications of changes in the networks' namespaces, to find those that other programs make.
 * Each namespace has a netlink socket, and all sockets are in one epoll, so that one thread serves any number of
 * networks.
 */
import { Epoll, EPOLLIN, EventFd } from "../../../ffi/epoll.ts";
import { NetlinkEvents, type Notice } from "../../../ffi/netlink_events.ts";
import { namespaceIdentity } from "../../../ffi/netns.ts";
import { NftablesReader } from "../../../ffi/nftables_reader.ts";
import { readable } from "../../../ffi/readable.ts";
import { delay } from "../../common/async.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { BRIDGE, VXLAN } from "../../overlay/state.ts";

/** The least time between two reads, in ms: a storm of notifications costs no more than the socket buffers hold. */
const EVERY = 100;
/**
 * IPv6 link-local addresses (RFC 4291 §2.5.6): the kernel adds them by itself, and they are no part of a network's
 * state.
 */
const LINK_LOCAL = Cidr.parse("fe80::/10");
const STOP = 0;
/**
 * When the agent sets more entries than this at once, notifications are not evaluated: they would overflow the
 * socket's buffer.
 */
const MANY = 256;

/** The way in which a socket's notifications are waited for. */
interface Listening {
  /** False: they wait in the socket until the watch reads them by itself, and wake no thread. */
  wakes(on: boolean): void;
  end(): void;
}

/** A socket by which the kernel tells of changes. */
interface Told {
  readonly fd: number;
  /** Reads all that it has told. */
  take(): void;
}

/** All watched namespaces of this host, and other sockets by which the kernel tells of changes. */
export class Notifications {
  readonly #epoll = new Epoll();
  readonly #stop = new EventFd();
  readonly #watches = new Map<number, Told>();
  readonly #closing = new AbortController();
  #token = STOP;
  #failed = false;
  #running: Promise<void> | undefined;

  /**
   * Called once when a namespace cannot be watched, for example for lack of descriptors, and when notifications
   * cannot be read.
   */
  constructor(private readonly onProblem: (error: unknown) => void) {
    this.#epoll.add(this.#stop.fd, STOP);
  }

  /**
   * Watches a namespace; undefined where that is not possible.
   *
   * @param namespace A descriptor, which is not needed after the call.
   * @param onForeign Called when other programs have changed something, possibly often.
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

  /** Starts reading a socket whenever the kernel has told something by it. */
  add(watch: Told): Listening {
    const token = this.#token = (this.#token + 1) >>> 0 || 1;
    this.#epoll.add(watch.fd, token);
    this.#watches.set(token, watch);
    this.#running ??= this.#run();
    return {
      wakes: (on) => {
        if (this.#watches.has(token)) this.#epoll.change(watch.fd, token, on ? EPOLLIN : 0);
      },
      end: () => {
        if (this.#watches.delete(token)) this.#epoll.remove(watch.fd);
      },
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

  /** An error of one namespace must not end the notifications of others. */
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

/** The table entries that operations change: true for one that they only set, and so do not remove. */
interface Touched {
  readonly arp: Map<number, boolean>;
  readonly fdb: Map<number, boolean>;
}

/**
 * The watch on one network's namespace. Notifications that arrive while the agent carries out operations are
 * attributed to these: those about their entries for operations on ARP and FDB tables, unless one that is set goes, and all of
 * them for other operations, unless br0 or vxlan0 goes that these do not remove. Other changes that another program makes in
 * these few milliseconds are left to the periodic check.
 */
export class NamespaceWatch implements Told {
  readonly #events: NetlinkEvents;
  #reader: NftablesReader | undefined;
  /** Each link's settings as last notified, and whether it had a carrier. */
  readonly #links = new Map<number, { readonly settings: number; readonly carrier: boolean }>();
  readonly #ports = new Map<number, number>();
  /** The indexes of vxlan0 and br0. */
  #vxlan: number;
  #bridge: number;
  /** Addresses for which br0 answers ARP; containers can make it have other entries, which are ignored. */
  readonly #answered = new Set<number>();
  #own: Touched | "all" | undefined;
  /** How many times the agent's operations still remove vxlan0. */
  #removals = 0;
  readonly #listening: Listening;
  /** The namespace's identity, see namespaceIdentity(). */
  readonly identity: string;

  /** @see {@link Notifications.watch} */
  constructor(namespace: number, all: Notifications, private readonly onForeign: () => void) {
    this.identity = namespaceIdentity(namespace);
    this.#events = new NetlinkEvents(namespace);
    try {
      this.#vxlan = this.#events.index(VXLAN);
      this.#bridge = this.#events.index(BRIDGE);
      this.#listening = all.add(this);
    } catch (error) {
      this.#events.close();
      throw error;
    }
  }

  get fd(): number {
    return this.#events.fd;
  }

  /** The reader of the namespace's rules, once {@link reader} has opened it. */
  get openReader(): NftablesReader | undefined {
    return this.#reader;
  }

  /**
   * The reader of the namespace's rules, which is opened if need be.
   * @param namespace A descriptor of it.
   * @throws SystemError where the kernel has no nf_tables
   */
  reader(namespace: number): NftablesReader {
    return this.#reader ??= new NftablesReader(namespace);
  }

  /** True when the namespace has a link of that name. */
  has(name: string): boolean {
    return this.#events.index(name) !== 0;
  }

  /** Reads the pending notifications. */
  take(): void {
    let foreign = false;
    const whole = this.#events.read((notice) => foreign = this.#isForeign(notice) || foreign);
    // Dropped notifications may have been about any change.
    if (foreign || !whole && this.#own !== "all") this.onForeign();
  }

  /** Records for which addresses br0 answers ARP. */
  answers(addresses: Iterable<number>): void {
    this.#answered.clear();
    for (const address of addresses) this.#answered.add(address);
  }

  /** Discards pending notifications, since the whole namespace is about to be read. */
  skip(): void {
    this.#events.read((notice) => this.#isForeign(notice));
  }

  /** Attributes notifications to these operations until the returned function is called. */
  own(ops: readonly KernelOp[]): () => void {
    this.take();
    const touched = touchedBy(ops);
    const many = ops.reduce((sum, op) => sum + ("entries" in op ? op.entries.size : 0), 0) > MANY;
    if (many) this.#events.subscribeNeighbours(false);
    this.#own = touched ?? "all";
    this.#removals = ops.filter(({ op }) => op === "vxlan-remove").length;
    // What few entries cause is read at their end, and need not wake the loop in between.
    if (touched) this.#listening.wakes(false);
    for (const op of ops) {
      if (op.op === "proxy-remove") { for (const address of op.arp) this.#answered.delete(address); }
      if (op.op === "proxy-set") { for (const address of op.arp.keys()) this.#answered.add(address); }
    }
    return () => {
      this.take();
      this.#own = undefined;
      if (many) this.#events.subscribeNeighbours(true);
      if (touched) this.#listening.wakes(true);
    };
  }

  close(): void {
    this.#listening.end();
    this.#events.close();
    this.#reader?.[Symbol.dispose]();
  }

  #isForeign(notice: Notice): boolean {
    switch (notice.about) {
      case "link":
        return this.#otherLink(notice) && (this.#own !== "all" || this.#isLost(notice));
      case "port":
        return this.#otherPort(notice) && this.#own !== "all";
      case "address": {
        const { address } = notice;
        return this.#own !== "all" && !(address.length === 16 && LINK_LOCAL.contains(new Ip(6, address)));
      }
      case "route":
        // This is the default route over the uplink.
        return this.#own !== "all" && notice.prefix === 0;
      case "bridge":
        return this.#own === undefined;
      default:
        if (notice.about === "arp" && notice.index === this.#bridge) {
          return this.#own === undefined && this.#answered.has(notice.key);
        }
        if (notice.index !== this.#vxlan || this.#own === "all") return false;
        return this.#isOther(this.#own?.[notice.about].get(notice.key), notice.gone);
    }
  }

  /**
   * Tells whether another program made the change: an entry that the agent sets does not vanish by itself.
   * @param isSet Undefined: the agent does not change such entries.
   */
  #isOther(isSet: boolean | undefined, gone: boolean): boolean {
    return isSet === undefined || (isSet && gone);
  }

  /** True for br0 or vxlan0 that goes while the agent's operations do not remove it; only other kinds of br0 do these remove. */
  #isLost({ name, kind, gone }: Notice & { about: "link" }): boolean {
    if (!gone) return false;
    return name === BRIDGE ? kind === "bridge" : name === VXLAN && --this.#removals < 0;
  }

  /** A carrier that appears is no change by another program: it follows each of our own link operations. */
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

/** Undefined: they change more than entries. */
function touchedBy(ops: readonly KernelOp[]): Touched | undefined {
  const arp = new Map<number, boolean>(), fdb = new Map<number, boolean>();
  const add = (map: Map<number, boolean>, keys: Iterable<number>, isSet: boolean) => {
    for (const key of keys) map.set(key, isSet && map.get(key) !== false);
  };
  for (const op of ops) {
    switch (op.op) {
      case "arp-set":
        add(arp, op.entries.keys(), true);
        break;
      case "arp-remove":
        add(arp, op.addresses, false);
        break;
      case "fdb-set":
        add(fdb, op.entries.keys(), true);
        break;
      case "fdb-remove":
        add(fdb, op.macs, false);
        break;
      case "flood-set":
      case "flood-remove":
        fdb.set(0, false);
        break;
      case "containment-add":
      case "containment-set":
      case "containment-unset":
      case "containment-remove":
      case "egress-add":
      case "egress-remove":
      case "broadcast-add":
      case "broadcast-remove":
        break;
      default:
        return undefined;
    }
  }
  return { arp, fdb };
}
