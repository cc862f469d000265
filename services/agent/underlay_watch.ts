/** Keeps watch over what the host's overlay packets travel over: the VTEP's address, its interface and the MTU to the peers. */
import { drainInterfaceWatch, openInterfaceWatch } from "../../ffi/interfaces.ts";
import { libc } from "../../ffi/libc.ts";
import type { Ip } from "../common/ip.ts";
import type { Log } from "../common/log.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import { defaultVtep, type Underlay, underlayOf } from "./kernel/underlay.ts";

/** How often the kernel's notifications are read, in ms. */
const EVERY = 1000;
/** The routes to so many peers are looked at; more hosts rarely mean more routes. */
const PEERS = 64;

export interface UnderlayOptions {
  /** PEER_IP; undefined: the address is found, and followed when it becomes another. */
  readonly configured: Ip | undefined;
  readonly log: Log;
}

/** What the underlay is, as it was last seen. */
export class UnderlayWatch {
  #ip: Ip;
  #now: Underlay;
  #problem: { readonly reason: string; readonly since: number } | undefined;
  #peers: () => Iterable<Ip> = () => [];
  #onChange: () => Promise<unknown> = () => Promise.resolve();
  readonly #watch: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

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
    if (now) return new UnderlayWatch(ip, now, options);
    throw new Refusal(
      "invalid",
      `PEER_IP: no interface of this host has the address ${ip}: set the one that other hosts reach it by`,
    );
  }

  private constructor(ip: Ip, now: Underlay, private readonly options: UnderlayOptions) {
    this.#ip = ip;
    this.#now = now;
    this.#watch = openInterfaceWatch();
    this.#timer = setInterval(() => {
      if (drainInterfaceWatch(this.#watch)) void this.look();
    }, EVERY);
  }

  /** The VTEP. */
  get ip(): Ip {
    return this.#ip;
  }

  /** Its interface; where that has lost the address, the one that had it. */
  get name(): string {
    return this.#now.name;
  }

  /** Of the routes to the peers, see {@link underlayOf}. */
  get mtu(): number {
    return this.#now.mtu;
  }

  /** Why no overlay packet can leave or arrive, and since when (ms since the epoch). */
  get problem(): { readonly reason: string; readonly since: number } | undefined {
    return this.#problem;
  }

  /**
   * From now on the MTU is that of the routes to these, and what the networks are to be made by is told when it has
   * changed.
   */
  async follow(peers: () => Iterable<Ip>, onChange: () => Promise<unknown>): Promise<void> {
    this.#peers = peers;
    await this.look();
    this.#onChange = onChange;
  }

  /** Looks again. Never rejects. */
  look(): Promise<void> {
    return this.#looking = this.#looking.then(() => this.#look()).catch((error) => {
      this.options.log.warn(`the underlay could not be looked at: ${messageOf(error)}`);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
    libc.close(this.#watch);
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const { configured, log } = this.options;
    let ip = this.#ip, now = await underlayOf(ip, this.#somePeers());
    if (!now && !configured) {
      const other = await defaultVtep();
      now = other && await underlayOf(other, this.#somePeers());
      if (other && now) ip = other;
    }
    this.#tell(now);
    if (!now) return;
    const before = { ip: this.#ip, mtu: this.#now.mtu };
    this.#ip = ip;
    this.#now = now;
    if (!ip.equals(before.ip)) {
      log.warn(
        { from: before.ip.toString(), to: ip.toString() },
        "this host has another address: its networks follow",
      );
    }
    if (now.mtu !== before.mtu) {
      log.info({ from: before.mtu, to: now.mtu }, `the MTU towards the other hosts has changed`);
    }
    if (!ip.equals(before.ip) || now.mtu !== before.mtu) {
      // Not waited for: a network that cannot be brought to it must not keep the next look from being taken.
      void this.#onChange();
    }
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
    else log.info(`the VTEP ${this.#ip} is there again`);
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
