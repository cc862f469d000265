/**
 * Watches what the host's overlay packets are sent over: the VTEP's address, its interface, and the MTU of the routes
 * to the other hosts.
 */
import { drainInterfaceWatch, openInterfaceWatch } from "../../../ffi/interfaces.ts";
import { libc } from "../../../ffi/libc.ts";
import type { Ip } from "../../common/ip.ts";
import type { Log } from "../../common/log.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { delay } from "../../common/async.ts";
import type { Notifications } from "../kernel/notifications.ts";
import { defaultVtep, interfacesTowards, routedVtep, type Underlay, underlayOf } from "../kernel/underlay.ts";

/** The least time between two checks, in ms. */
const LEAST = 1000;
/**
 * How long the default route's interface must have had another address before the agent follows it, in ms: while a
 * network is reconfigured or a lease renewed, addresses and routes are absent for a moment.
 */
const STANDS = 3000;
/** How many peers the routes are looked up for; more hosts rarely mean more routes. */
const PEERS = 64;

export interface UnderlayOptions {
  /** PEER_IP; undefined: the address of the default route's interface, also after it changes. */
  readonly configured: Ip | undefined;
  readonly log: Log;
  /** Reads a socket as soon as the kernel tells of a change by it. */
  readonly notifications: Pick<Notifications, "add">;
}

/** The functions that are called after changes, without being awaited. */
export interface UnderlayEvents {
  /** Another address or MTU. */
  changed(): Promise<unknown>;
  /** Other interfaces by which the peers' packets may come. */
  interfaces(): Promise<unknown>;
}

/** The underlay as last read. */
export class UnderlayWatch {
  #ip: Ip;
  #now: Underlay;
  #interfaces: ReadonlySet<string> = new Set();
  #problem: { readonly reason: string; readonly since: number } | undefined;
  #peers: () => Iterable<Ip> = () => [];
  #on: UnderlayEvents = { changed: () => Promise.resolve(), interfaces: () => Promise.resolve() };
  readonly #watch: number;
  readonly #listening: { end(): void };
  /** The check that is requested and has not begun yet. */
  #next: Promise<void> | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lookedAt = -Infinity;
  /** The address that will be followed if it stays, and since when it has been seen, by performance.now(). */
  #candidate: { readonly ip: Ip; readonly since: number } | undefined;
  /** True when the last check failed. */
  #failed = false;
  readonly #closing = new AbortController();

  /** Throws Refusal "invalid" when the host has no such address, or none can be found. */
  static async open(options: UnderlayOptions): Promise<UnderlayWatch> {
    const ip = options.configured ?? await defaultVtep();
    if (!ip) {
      throw new Refusal(
        "invalid",
        "PEER_IP: set it to this host's address in the underlay: there is no default route to find it by",
      );
    }
    const now = await underlayOf(ip);
    if (now) return new UnderlayWatch(ip, now, await interfacesTowards([], now.name), options);
    throw new Refusal(
      "invalid",
      `PEER_IP: no interface of this host has the address ${ip}: set the one that other hosts reach it by`,
    );
  }

  private constructor(
    ip: Ip,
    now: Underlay,
    interfaces: ReadonlySet<string>,
    private readonly options: UnderlayOptions,
  ) {
    this.#ip = ip;
    this.#now = now;
    this.#interfaces = interfaces;
    const fd = this.#watch = openInterfaceWatch({ routes: !options.configured });
    this.#listening = options.notifications.add({
      fd,
      take: () => drainInterfaceWatch(fd) && void this.check(),
    });
  }

  /** The VTEP. */
  get ip(): Ip {
    return this.#ip;
  }

  /** The name of its interface; when no interface has the address, the one that had it. */
  get name(): string {
    return this.#now.name;
  }

  /** The names of the interfaces by which the peers' packets may come, see {@link interfacesTowards}. */
  get interfaces(): ReadonlySet<string> {
    return this.#interfaces;
  }

  /** The least MTU of the routes to the peers, see {@link underlayOf}. */
  get mtu(): number {
    return this.#now.mtu;
  }

  /** Why no overlay packet can leave or arrive, and since when (ms since the epoch). */
  get problem(): { readonly reason: string; readonly since: number } | undefined {
    return this.#problem;
  }

  /** From now on the MTU is the least one of the routes to these peers, and changes are told. */
  async follow(peers: () => Iterable<Ip>, on: UnderlayEvents): Promise<void> {
    this.#peers = peers;
    await this.check();
    this.#on = on;
  }

  /**
   * Checks again. Calls before a check begins share it, and it begins at least a second after the last one. Never
   * rejects.
   */
  check(): Promise<void> {
    return this.#next ??= this.#looking = this.#looking.then(async () => {
      await delay(Math.max(0, this.#lookedAt + LEAST - performance.now()), this.#closing.signal);
      this.#next = undefined;
      try {
        await this.#check();
        this.#failed = false;
      } catch (error) {
        if (!this.#failed) this.options.log.warn(`the underlay could not be read: ${messageOf(error)}`);
        this.#failed = true;
      }
      this.#lookedAt = performance.now();
      // What stands for a while is followed, and what could not be read is read again: neither is told of once more.
      if ((this.#candidate || this.#failed) && !this.#closing.signal.aborted) void this.check();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#listening.end();
    await this.#looking;
    libc.close(this.#watch);
  }

  async #check(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { configured, log } = this.options;
    const ip = configured ?? this.#followed(await routedVtep(this.#ip));
    const now = await underlayOf(ip, this.#somePeers());
    this.#tell(now);
    if (!now) return;
    const interfaces = await interfacesTowards(this.#peers(), now.name);
    const hasOthers = this.#interfaces.symmetricDifference(interfaces).size > 0;
    this.#interfaces = interfaces;
    const before = { ip: this.#ip, mtu: this.#now.mtu };
    this.#ip = ip;
    this.#now = now;
    if (!ip.equals(before.ip)) {
      log.warn(
        { from: before.ip.toString(), to: ip.toString() },
        "the default route's interface has another address, and this host's networks are changed to it",
      );
    }
    if (now.mtu !== before.mtu) {
      log.info({ from: before.mtu, to: now.mtu }, `the MTU towards the other hosts has changed`);
    }
    if (!ip.equals(before.ip) || now.mtu !== before.mtu) {
      // This is not awaited: a network that cannot be changed must not delay the next check.
      void this.#on.changed();
    }
    if (hasOthers) void this.#on.interfaces();
  }

  /** @param routed The address that the default route's interface has now; undefined: there is none. */
  #followed(routed: Ip | undefined): Ip {
    if (!routed || routed.equals(this.#ip)) this.#candidate = undefined;
    else if (!this.#candidate?.ip.equals(routed)) this.#candidate = { ip: routed, since: performance.now() };
    const { ip = this.#ip, since = Infinity } = this.#candidate ?? {};
    return performance.now() - since >= STANDS ? ip : this.#ip;
  }

  #tell(now: Underlay | undefined): void {
    const reason = !now
      ? `no interface of this host has the VTEP ${this.#ip} any more`
      : now.up
      ? undefined
      : `the interface ${now.name}, which has the VTEP ${this.#ip}, is down`;
    if (reason === this.#problem?.reason) return;
    const { log } = this.options;
    if (reason !== undefined) log.error(`no overlay packet can leave or arrive: ${reason}`);
    else log.info(`overlay packets pass again: the VTEP ${this.#ip} is back`);
    this.#problem = reason === undefined ? undefined : { reason, since: this.#problem?.since ?? Date.now() };
  }

  #somePeers(): Ip[] {
    const peers = new Map<string, Ip>();
    for (const ip of this.#peers()) {
      peers.set(ip.toString(), ip);
      if (peers.size === PEERS) break;
    }
    return [...peers.values()];
  }
}
