/** Ends the leases that are over, those behind devices that are no longer ports, and those of hosts that are gone. */
import { repeat } from "../../common/async.ts";
import { OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { timestamp } from "../../common/timestamp.ts";
import { stillRuns } from "../../nex/held.ts";
import { expiryOf, kindOf } from "../../overlay/endpoint_kind.ts";
import { planDeleteEndpoints } from "../../overlay/endpoints.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { OverlayLeases } from "../../overlay_names/lease_space.ts";
import { change } from "../../store/change.ts";
import type { Committer } from "../../store/types.ts";
import type { Context } from "../context.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** How often this host's leases are looked at, in ms, and those of others: every so many times. */
const EVERY = 2000, OTHERS_EVERY = 10;
/** For how long a lease of another host must be over, in seconds, since that host's clock may differ from this one's. */
const OTHERS_GRACE = 120;
/**
 * For how long a lease outlives the port that it was behind, in ms: a machine that is migrated may be first seen at its other host
 * after it was detached here, and is taken in there without DHCP as long as it is known.
 */
const PORTLESS_GRACE = 30_000;

export interface LeaseSweeperOptions {
  readonly writer: Pick<Committer, "commitGrouped">;
  /** The earliest time that may be right, in ms since the epoch. */
  readonly earliest: () => number;
  /** Whether a network's namespace has a link of that name; undefined where only the namespace itself can tell. */
  readonly hasLink: (network: string, name: string) => boolean | undefined;
}

export class LeaseSweeper {
  readonly #context: () => Context;
  readonly #options: LeaseSweeperOptions;
  readonly #once = new OncePerMinute();
  readonly #end: () => Promise<void>;
  #round = 0;
  /** Endpoints whose device is no port any more, and since when by performance.now(). */
  #portless = new Map<string, number>();

  constructor(context: () => Context, options: LeaseSweeperOptions) {
    this.#context = context;
    this.#options = options;
    // Hosts that were started at the same time do not all sweep at the same time.
    this.#end = repeat(() => EVERY * (0.8 + 0.4 * Math.random()), () => this.#sweep());
  }

  close(): Promise<void> {
    return this.#end();
  }

  async #sweep(): Promise<void> {
    const { store, storeGuard, log } = this.#context();
    if (storeGuard.hold || !store.mirror.state.inSync) return;
    try {
      await this.#sweepOwn();
      if (this.#round++ % OTHERS_EVERY) return;
      await this.#sweepOthers();
      await this.#sweepQuarantined();
    } catch (error) {
      if (this.#once.due("sweep")) {
        log.warn(`leases that are over could not be ended, which is tried again: ${messageOf(error)}`);
      }
    }
  }

  get #now(): number {
    return Math.floor(this.#options.earliest() / 1000);
  }

  async #sweepOwn(): Promise<void> {
    const { view, ports, namespacePath, host: { hostname } } = this.#context(), now = this.#now;
    const over: OverlayEndpoint[] = [], portless = new Map<string, number>(), looked = performance.now();
    for (const network of view.networksOn(hostname)) {
      const devices = new Set(ports.devices(network));
      for (const endpoint of view.space(network).endpointsOn(hostname)) {
        const { id, record } = endpoint, { strand_port: port } = record;
        if (isOver(endpoint, now)) {
          over.push(endpoint);
          continue;
        }
        if (port === undefined || devices.has(port) || kindOf(record) !== "dhcp") continue;
        const since = this.#portless.get(id) ?? looked, isDue = looked - since >= PORTLESS_GRACE;
        // Another program may have made it a port.
        const isThere = isDue &&
          (this.#options.hasLink(network, port) ?? hasDevice(namespacePath(network), port));
        portless.set(id, isThere ? looked : since);
        if (isDue && !isThere) over.push(endpoint);
      }
    }
    this.#portless = portless;
    await Promise.all(over.map((endpoint) => this.#endOwn(endpoint, now)));
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
    const isGone = new Map<string, boolean>();
    for (const network of view.networksOn(hostname)) {
      for (const endpoint of [...view.space(network).endpoints.values()]) {
        const { host } = endpoint;
        if (host === hostname || expiryOf(endpoint.record) === undefined || !isOver(endpoint, now)) continue;
        if (!isGone.has(host)) isGone.set(host, (await store.nameClaim(host)).modRevision === 0);
        if (!isGone.get(host)) continue;
        await this.#delete(endpoint.id, undefined);
        log.info({ network, endpoint: endpoint.id }, `a lease of ${host}, which is gone, has ended`);
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

/** True for a lease whose time is over, with a grace; one without a time is over. */
function isOver({ record }: OverlayEndpoint, now: number): boolean {
  return kindOf(record) === "dhcp" && !stillRuns(expiryOf(record) ?? -Infinity, now);
}
