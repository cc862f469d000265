/** Ends leases of overlay networks that have expired, whose device is no longer a port, or whose host is gone. */
import { delay } from "../../common/async.ts";
import { OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { timestamp } from "../../common/timestamp.ts";
import { GRACE_SECONDS } from "../../nex/held.ts";
import { expiryOf, kindOf } from "../../overlay/endpoint_kind.ts";
import { planDeleteEndpoints } from "../../overlay/endpoints.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { OverlayLeases } from "../../overlay_names/lease_space.ts";
import { change } from "../../store/change.ts";
import type { Committer } from "../../store/types.ts";
import type { Context } from "../context.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/**
 * How often this host's leases are checked, in ms, and in which of these rounds the leases of other hosts are checked too. While
 * this host has no lease, both are checked in those rounds alone.
 */
const EVERY = 2000, OTHERS_EVERY = 10;
/** For how long a lease of another host must be over, in seconds, since that host's clock may differ from this one's. */
const OTHERS_GRACE = 120;
/**
 * For how long a lease outlives the port that it was behind, in ms: a machine that is migrated may be first seen at its other host
 * after it was detached here, and is taken in there without DHCP as long as it is known.
 */
const PORTLESS_GRACE = 30_000;

/** The result of checking a network, which is not checked again until something in it may have ended. */
interface SweptNetwork {
  /** When its first lease is over, in seconds since the epoch. */
  readonly leaseAt: number;
  /** When the first device that is no longer a port is to be checked again, by performance.now(). */
  readonly portAt: number;
  /** Endpoints whose device is no port any more, and since when by performance.now(). */
  readonly portless: ReadonlyMap<string, number>;
}

export interface LeaseSweeperOptions {
  readonly writer: Pick<Committer, "commitGrouped">;
  /** The earliest time that may be right, in ms since the epoch. */
  readonly earliest: () => number;
  /** Tests whether a network's namespace has a link of that name; undefined where the namespace itself must be asked. */
  readonly hasLink: (network: string, name: string) => boolean | undefined;
  /** Default {@link EVERY}. */
  readonly everyMs?: number;
}

/** Checks the leases of all networks of this host at intervals. */
export class LeaseSweeper {
  readonly #context: () => Context;
  readonly #options: LeaseSweeperOptions;
  readonly #once = new OncePerMinute();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #round = 0;
  /** True while this host has no lease that may end; aborting {@link LeaseSweeper.#wake} ends the long pause of that time. */
  #isAtRest = false;
  #wake = new AbortController();
  /** The result of each network's last check; once the network has changed, `portless` alone counts. */
  readonly #looks = new Map<string, SweptNetwork>();
  /** By network, when the next lease of another host may end, in seconds since the epoch; absent once the network has changed. */
  readonly #othersAt = new Map<string, number>();
  /** The ports by which {@link LeaseSweeper.#looks} were found. */
  #ports: unknown;
  readonly #unsubscribe: () => void;

  constructor(context: () => Context, options: LeaseSweeperOptions) {
    this.#context = context;
    this.#options = options;
    this.#unsubscribe = context().view.subscribe((changes) => {
      for (const network of changes.keys()) {
        const look = this.#looks.get(network);
        if (look) this.#looks.set(network, { ...look, leaseAt: -Infinity });
        this.#othersAt.delete(network);
      }
      this.#wake.abort();
    });
    this.#running = this.#run();
  }

  close(): Promise<void> {
    this.#unsubscribe();
    for (const waiting of [this.#closing, this.#wake]) waiting.abort();
    return this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing, { everyMs = EVERY } = this.#options;
    while (!signal.aborted) {
      // Hosts that were started at the same time do not all sweep at the same time.
      const pause = everyMs * (0.8 + 0.4 * Math.random());
      if (this.#isAtRest) await delay((OTHERS_EVERY - 1) * pause, this.#wake.signal);
      await delay(pause, signal);
      if (signal.aborted) return;
      this.#wake = new AbortController();
      await this.#sweep();
    }
  }

  async #sweep(): Promise<void> {
    const { store, storeGuard, log } = this.#context();
    if (storeGuard.hold || !store.mirror.state.inSync) return;
    try {
      await this.#sweepOwn();
      this.#isAtRest = this.#looks.values().every(({ leaseAt, portAt }) =>
        Math.min(leaseAt, portAt) === Infinity
      );
      if (!this.#isAtRest && this.#round++ % OTHERS_EVERY) return;
      await this.#sweepOthers();
      await this.#sweepQuarantined();
    } catch (error) {
      if (this.#once.due("sweep")) {
        log.warn(`expired leases could not be ended, and are tried again: ${messageOf(error)}`);
      }
    }
  }

  get #now(): number {
    return Math.floor(this.#options.earliest() / 1000);
  }

  async #sweepOwn(): Promise<void> {
    const { view, ports, host: { hostname } } = this.#context(), now = this.#now;
    const networks = view.networksOn(hostname), looked = performance.now(), over: OverlayEndpoint[] = [];
    const isOtherList = this.#ports !== ports.ports();
    this.#ports = ports.ports();
    for (const network of this.#looks.keys()) if (!networks.has(network)) this.#looks.delete(network);
    for (const network of networks) {
      const before = this.#looks.get(network);
      if (before && !isOtherList && now < before.leaseAt && looked < before.portAt) continue;
      this.#looks.set(network, this.#look(network, { now, looked, before, over }));
    }
    await Promise.all(over.map((endpoint) => this.#endOwn(endpoint, now)));
  }

  /** Looks at this host's leases in a network, and adds those that are over. */
  #look(
    network: string,
    { now, looked, before, over }: {
      now: number;
      looked: number;
      before: SweptNetwork | undefined;
      over: OverlayEndpoint[];
    },
  ): SweptNetwork {
    const { view, ports, namespacePath, host: { hostname } } = this.#context();
    const devices = new Set(ports.devices(network)), portless = new Map<string, number>();
    let leaseAt = Infinity, portAt = Infinity;
    for (const endpoint of view.space(network).endpointsOn(hostname)) {
      const { id, record } = endpoint, { strand_port: port } = record;
      if (kindOf(record) !== "dhcp") continue;
      leaseAt = Math.min(leaseAt, overAt(endpoint));
      if (overAt(endpoint) <= now) {
        over.push(endpoint);
        continue;
      }
      if (port === undefined || devices.has(port)) continue;
      const since = before?.portless.get(id) ?? looked, isDue = looked - since >= PORTLESS_GRACE;
      // Another program may have made it a port.
      const isThere = isDue &&
        (this.#options.hasLink(network, port) ?? hasDevice(namespacePath(network), port));
      const from = isThere ? looked : since;
      portless.set(id, from);
      portAt = Math.min(portAt, from + PORTLESS_GRACE);
      if (isDue && !isThere) over.push(endpoint);
    }
    return { leaseAt, portAt, portless };
  }

  async #endOwn({ id, network }: OverlayEndpoint, now: number): Promise<void> {
    const { view, host: { hostname, ip, apiHostname } } = this.#context();
    const endpoint = view.endpoint(id), record = view.network(network), { settings } = view.space(network);
    if (!endpoint || !record) return;
    if (!settings) return await this.#delete(id, hostname);
    const host = { hostname, ip, apiHostname, newId: () => crypto.randomUUID(), timestamp };
    const leases = new OverlayLeases(view, record, settings, host, now);
    // A conflict: the client has renewed, or another process has ended it.
    await this.#options.writer.commitGrouped(leases.planEnd(endpoint, now));
  }

  /** A host that runs ends its own leases, and a lease of a client that is there is renewed long before. */
  async #sweepOthers(): Promise<void> {
    const { view, store, host: { hostname }, log } = this.#context(), now = this.#now - OTHERS_GRACE;
    const isGone = new Map<string, boolean>(), networks = view.networksOn(hostname);
    for (const network of this.#othersAt.keys()) if (!networks.has(network)) this.#othersAt.delete(network);
    for (const network of networks) {
      if (now < (this.#othersAt.get(network) ?? -Infinity)) continue;
      let next = Infinity;
      const over: OverlayEndpoint[] = [];
      for (const endpoint of view.space(network).endpoints.values()) {
        const { host, record } = endpoint;
        if (host === hostname || kindOf(record) !== "dhcp" || expiryOf(record) === undefined) continue;
        next = Math.min(next, overAt(endpoint));
        if (overAt(endpoint) <= now) over.push(endpoint);
      }
      this.#othersAt.set(network, next);
      for (const { id, host } of over) {
        if (!isGone.has(host)) isGone.set(host, (await store.nameClaim(host)).modRevision === 0);
        if (!isGone.get(host)) continue;
        await this.#delete(id, undefined);
        log.info({ network, endpoint: id }, `a lease of ${host}, which is gone, has ended`);
      }
    }
  }

  /** @param hostname undefined: it is another host's */
  async #delete(id: string, hostname: string | undefined): Promise<void> {
    const { view, store, storeGuard } = this.#context(), { modified } = view.endpoint(id) ?? {};
    await change(store, () => {
      storeGuard.assertNotHeld();
      const endpoint = view.endpoint(id);
      return endpoint?.modified === modified && endpoint
        ? planDeleteEndpoints(view, [id], { hostname, now: Date.now() })
        : undefined;
    }, { unconfirmed: true });
  }

  async #sweepQuarantined(): Promise<void> {
    const { view, store, host: { hostname } } = this.#context(), now = this.#now;
    for (const network of view.networksOn(hostname)) {
      for (const [address, { until }] of view.space(network).withheld) {
        if (until > now) continue;
        const key = view.keys.withheldAddress(network, address);
        await store.committer.commitGrouped({ guards: [view.guard(key)], ops: [{ remove: key }] });
      }
    }
  }
}

function hasDevice(path: string, device: string): boolean {
  using namespace = NetworkNamespace.openIfAny(path);
  return namespace?.has(device) === true;
}

/** The end of a lease with its grace time, in seconds since the epoch; a lease without a time has ended. */
function overAt({ record }: OverlayEndpoint): number {
  return (expiryOf(record) ?? -Infinity) + GRACE_SECONDS;
}
