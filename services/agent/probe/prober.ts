/** Runs the probes between hosts: it follows the list of peers, sends what paths.ts asks for, and logs what changes. */
import { Netlink } from "../../../ffi/netlink.ts";
import { home } from "../../../ffi/netns.ts";
import { messageOf } from "../../common/refusal.ts";
import { Ip } from "../../common/ip.ts";
import { portOf } from "../../overlay/desired.ts";
import { concernsPeers, type OverlayPeer, peersOf } from "../../overlay/peers.ts";
import { PROBE_VNI } from "../../overlay/state.ts";
import { delay } from "../../common/async.ts";
import type { Context } from "../context.ts";
import type { ProberPart } from "../parts.ts";
import type { Workers } from "../reconcile/networks.ts";
import { type DeviceOptions, ProbeDevice } from "./device.ts";
import { examine, type PathExamination } from "./examine.ts";
import { type Path, Paths } from "./paths.ts";

/** How often answers are read and probes sent, in ms, and the most probes each time: 500 a second. */
const TICK = 250, QUESTIONS = 125;
/** The longest pause while no answer is awaited and no probe is due, in ms: what others ask waits in the socket's 4 MiB. */
const LONGEST_TICK = 5000;
/** The most packets that are read in a tick. A host that floods the socket loses the rest, and delays nothing. */
const READ = 1000;
/** How often peers are looked up at most, and how soon a device that could not be created is tried again, in ms. */
const PEERS_EVERY = 1000, RETRY_MS = 10_000;
/** The most log lines for changes of paths in one tick. */
const LINES = 5;

/**
 * Probes the hosts that share a network with this one over VXLAN, and lets the kernel answer theirs. While this host
 * has a network, there is a device for that, which outlasts the agent.
 */
export class Prober implements ProberPart {
  /** The number of packets from hosts that are no peers, and of answers without a question. */
  strangers = 0;
  readonly #paths: Paths;
  readonly #closing = new AbortController();
  #device: ProbeDevice | undefined;
  #making: Promise<void> | undefined;
  #problem: string | undefined;
  #tryAt = -Infinity;
  #peersAt = -Infinity;
  #changed = true;
  /** The networks whose peers were looked up, with their MTUs then. */
  #lookedUp: ReadonlyMap<string, number> = new Map();
  #removed = false;
  /** The answering that was published to the other hosts last. */
  #told: boolean | undefined;
  /** Hosts that are looked at just now, and the tokens of the packets to them. */
  readonly #examined = new Map<string, Promise<PathExamination>>();
  readonly #foreign = new Set<number>();
  /** Changes of paths that are not logged yet. */
  #news: { readonly bad: boolean; readonly fields: object; readonly message: string }[] = [];
  #workers: Workers | undefined;
  #running: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => {};
  /** Aborting it ends the wait for the next tick, or all ticks. */
  #wake = new AbortController();
  /** When the last tick began. */
  #tickedAt = -Infinity;

  /** @param options The current options of the device. @param underlay The name of the interface that has this host's VTEP. */
  constructor(
    private readonly context: () => Context,
    private readonly options: () => DeviceOptions,
    private readonly underlay: () => string,
  ) {
    this.#paths = new Paths((path, before) => this.#tell(path, before));
  }

  /** Starts probing. */
  start(workers: Workers): void {
    this.#workers = workers;
    const { view, host: { hostname } } = this.context();
    this.#unsubscribe = view.subscribe((changes) => {
      for (const [id, change] of changes) {
        if (!this.#changed && concernsPeers(view, hostname, id, change)) this.#lookUpSoon();
      }
    });
    this.#running = this.#run();
  }

  /**
   * The VNI on which this host answers probes of a network's hosts; null when it does not, since packets on another
   * UDP port say nothing about the network's. Creates the device where there is none.
   */
  async answering(network: string): Promise<number | null> {
    const isSame = this.context().view.network(network)?.vxlan_vni === PROBE_VNI;
    // Each tick tests once whether a network has this VNI, not for each of a thousand networks.
    if (isSame || !this.#device?.fits(this.options())) await this.#make(performance.now());
    // Once probing has ended, the kernel goes on answering as it did.
    const answers = this.#closing.signal.aborted ? this.#told === true : this.#device !== undefined;
    // Where it has changed, the next tick has all networks publish it.
    this.#told ??= answers;
    const isProbed = this.#isProbed(network);
    // The UDP port or MTU of the network may have changed since its peers were looked up.
    const mtu = isProbed ? this.#workers?.get(network)?.mtu : undefined;
    if (mtu !== this.#lookedUp.get(network)) this.#lookUpSoon();
    return answers && isProbed ? PROBE_VNI : null;
  }

  /** @see {@link ProberPart.giveWay} */
  async giveWay(): Promise<void> {
    // One that is running may have begun before the network was known.
    await this.#making;
    if (this.#workers) await this.#make(performance.now());
  }

  /** The state of the paths to all peers. */
  paths(): Path[] {
    return this.#paths.all();
  }

  /** Looks at the way to a host at once; undefined for one that is not probed. @throws SystemError */
  async examine(hostname: string): Promise<PathExamination | undefined> {
    const known = this.#examined.get(hostname), device = this.#device;
    if (known) return await known;
    const path = this.paths().find(({ peer }) => peer.hostname === hostname);
    if (!path || !device) return undefined;
    const looking = this.#examine(device, path.peer).finally(() => this.#examined.delete(hostname));
    this.#examined.set(hostname, looking);
    return await looking;
  }

  async #examine(device: ProbeDevice, peer: OverlayPeer): Promise<PathExamination> {
    const name = this.underlay(), tokens: number[] = [];
    using netlink = new Netlink(home);
    const token = () => {
      const [token = 0] = crypto.getRandomValues(new Uint32Array(1));
      this.#foreign.add(token);
      tokens.push(token);
      return token;
    };
    const underlay = { name, index: netlink.index(name) };
    try {
      return await examine({ namespace: device.fd, peer, port: this.options().port, underlay, token });
    } finally {
      // An answer may be read by the next tick alone.
      setTimeout(() => tokens.forEach((token) => this.#foreign.delete(token)), 2 * LONGEST_TICK);
    }
  }

  /** Why no host is probed; undefined when probing works. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Ends probing; the device stays, so that other hosts still get answers. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    this.#unsubscribe();
    await this.#running;
    await this.#making;
    this.#device?.close();
    this.#device = undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing, { log } = this.context();
    while (!signal.aborted) {
      // One timer for both pauses: at rest they are most of what this costs.
      const next = performance.now() + TICK;
      await delay(TICK + Math.max(0, this.#idleFor(next)), this.#wake.signal);
      const early = next - performance.now();
      if (early > 0) await delay(early, signal);
      this.#wake = new AbortController();
      try {
        await this.#tick();
      } catch (error) {
        // Another program has deleted the device, or an address of it.
        log.debug(`the probe device failed and is made again: ${messageOf(error)}`);
        this.#drop(messageOf(error));
      }
    }
  }

  /** Schedules a lookup of the peers at the next tick. */
  #lookUpSoon(): void {
    this.#changed = true;
    this.#wake.abort();
  }

  /** The time from then on in which there is nothing to do, in ms. */
  #idleFor(now: number): number {
    const due = this.#changed ? this.#peersAt + PEERS_EVERY : this.#paths.nextAt;
    return Math.min(this.#device ? due - now : Infinity, LONGEST_TICK - TICK);
  }

  async #tick(): Promise<void> {
    const { storeGuard } = this.context(), now = performance.now();
    const ticks = Math.min((now - this.#tickedAt) / TICK, LONGEST_TICK / TICK);
    this.#tickedAt = now;
    if (storeGuard.hold) return;
    if (this.#workers?.all().next().done) return await this.#remove();
    await this.#make(now);
    const device = this.#device;
    if (this.#told !== undefined && this.#told !== (device !== undefined)) {
      this.#told = device !== undefined;
      void this.#workers?.compareAll("change");
    }
    if (!device) return;
    if (this.#changed && now - this.#peersAt >= PEERS_EVERY) await this.#lookUp(device, now);
    device.read(READ * Math.max(1, ticks), ({ kind, from, token }) => {
      const known = kind === "question"
        ? this.#paths.heard(from, now)
        : this.#foreign.has(token) || this.#paths.answered(from, token, now);
      if (!known) this.strangers++;
    });
    for (const question of this.#paths.due(now, QUESTIONS)) {
      const [token = 0] = crypto.getRandomValues(new Uint32Array(1));
      if (device.send(question.vtep, token, question.size)) this.#paths.sent(question, token, now);
    }
    this.#log();
  }

  /** Creates the device when this host has a network, and removes it otherwise. The next tick sets the peers of a new one. */
  async #make(now: number): Promise<void> {
    if (this.#closing.signal.aborted) return;
    await (this.#making ??= this.#made(now).finally(() => this.#making = undefined));
  }

  async #made(now: number): Promise<void> {
    const options = this.options(), { log } = this.context();
    const obstacle = this.#obstacle();
    if (this.#device?.fits(options) && obstacle === undefined) return;
    if (obstacle !== undefined) {
      this.#drop(obstacle);
      await ProbeDevice.remove(options.path);
      return;
    }
    if (now < this.#tryAt && !this.#device) return;
    this.#device?.close();
    this.#device = undefined;
    this.#removed = false;
    try {
      this.#device = await ProbeDevice.create(options);
      this.#problem = undefined;
      this.#lookUpSoon();
      this.#peersAt = -Infinity;
    } catch (error) {
      this.#tryAt = now + RETRY_MS;
      const problem = messageOf(error);
      if (problem !== this.#problem) log.warn(`other hosts are not probed: ${problem}`);
      this.#problem = problem;
    }
  }

  /** Removes the device, also one of an earlier agent, since this host has no network. */
  async #remove(): Promise<void> {
    if (this.#removed) return;
    this.#drop("this host has no network");
    this.#paths.setPeers(new Map(), performance.now());
    await ProbeDevice.remove(this.options().path);
    this.#removed = true;
  }

  /**
   * Why the device cannot be used: a network with the same VNI, which a SAND agent may have chosen, takes precedence.
   */
  #obstacle(): string | undefined {
    const { view } = this.context();
    for (const { id } of this.#workers?.all() ?? []) {
      const network = view.network(id);
      if (network?.vxlan_vni === PROBE_VNI) return `network ${network.name} has the VNI ${PROBE_VNI}`;
    }
    return undefined;
  }

  #isProbed(id: string): boolean {
    const { view, host } = this.context(), network = view.network(id);
    return network !== undefined && portOf(view, network, host.hostname) === this.options().port;
  }

  #drop(problem: string): void {
    this.#problem = problem;
    this.#device?.close();
    this.#device = undefined;
    this.#tryAt = performance.now() + TICK;
  }

  async #lookUp(device: ProbeDevice, now: number): Promise<void> {
    this.#changed = false;
    this.#peersAt = now;
    const { view, host } = this.context();
    const networks = [...this.#workers?.all() ?? []].filter(({ id }) => this.#isProbed(id));
    this.#lookedUp = new Map(networks.map(({ id, mtu }) => [id, mtu]));
    const peers = peersOf(view, host.hostname, networks);
    await device.setPeers(new Set([...peers.values()].map(({ vtep }) => vtep)));
    this.#paths.setPeers(peers, now);
  }

  #tell(path: Path, before: Path): void {
    const { hostname, vtep } = path.peer, fields = { host: hostname, vtep: `${Ip.from4(vtep)}` };
    const add = (bad: boolean, message: string) => this.#news.push({ bad, fields, message });
    if (path.reachable === false && before.reachable !== false) add(true, unreachable(path));
    if (path.reachable && before.reachable === false) {
      const seconds = Math.round((performance.now() - before.since) / 1000);
      add(false, `${hostname} answers again over VXLAN, after ${seconds} s`);
    }
    if (path.pathMtu !== undefined) add(true, short(path));
    else if (before.pathMtu !== undefined && path.reachable) {
      add(false, `packets of full size reach ${hostname} again`);
    }
  }

  /** Logs the changes, and few lines at once: when the host loses its own link, all paths fail together. */
  #log(): void {
    const { log } = this.context(), news = this.#news.splice(0);
    for (const { bad, fields, message } of news.slice(0, LINES)) {
      if (bad) log.warn(fields, message);
      else log.info(fields, message);
    }
    if (news.length > LINES) {
      log.warn(`the paths to ${news.length - LINES} more hosts have changed: run strand status agent`);
    }
  }
}

/** The problem of a path over which nothing comes back, as a sentence. */
export function unreachable({ peer: { hostname }, heard }: Path): string {
  return heard
    ? `${hostname} does not answer over VXLAN, though its own packets arrive: what this host sends to it is dropped`
    : `${hostname} does not answer over VXLAN: packets are dropped on the way to it or back, or it is down`;
}

/** The problem of a path that carries only small packets, as a sentence. */
export function short({ peer: { hostname, mtu }, pathMtu }: Path): string {
  return `packets of more than ${pathMtu} octets do not reach ${hostname} or do not come back, and networks that both ` +
    `hosts have send ${mtu + 50}: something in between has a smaller MTU`;
}
