/** Publishes in etcd that this host has a network, and the revision up to which the kernel matches it. */
import { delay } from "../../common/async.ts";
import { messageOf } from "../../common/refusal.ts";
import { planApplied, planPresence } from "../../overlay/hosts.ts";
import { isBehindPort } from "../../overlay/endpoint_kind.ts";
import { planHostAddresses } from "../../overlay/endpoints.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";
import { timestamp } from "../../common/timestamp.ts";
import { failpoint } from "../failpoints.ts";
import type { HostNetwork } from "./host_network.ts";

/** The longest delay before the applied revision is published, in ms. Changes that no other host waits for take that long. */
const LONGEST_SILENCE = 2000;
/** The reason with which a delay is ended. Without one a DOMException is made each time, with a stack, which takes 30 µs. */
const AWAITED = "a request waits for this";

/**
 * True for a change for which a request on another host may wait, until this one has carried it out: of an endpoint that
 * is not this host's, and no machine behind a port. No request waits for what a lease changes, and with each lease all
 * hosts would write to etcd.
 */
export function isAwaited({ before, after }: EndpointChange, hostname: string): boolean {
  return [before, after].some((one) => one && one.host !== hostname && !isBehindPort(one.record));
}

/**
 * Publishes to the other hosts of a network, by keys in etcd, that this host has the network and up to which revision
 * it has applied changes.
 */
export class AppliedStatus {
  /** The applied revision and the published one. */
  #applied = 0;
  #published = 0;
  /** Up to this revision publishing is not delayed, since a request may wait for it. */
  #awaited = 0;
  /** Aborting it ends the delay. */
  #hurry = new AbortController();
  #publishing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  /** @param longestSilence Another one than {@link LONGEST_SILENCE}, for tests. */
  constructor(private readonly network: HostNetwork, private readonly longestSilence = LONGEST_SILENCE) {}

  /** Up to which revision this host has applied the network's changes, also before it has published that; 0: not known. */
  get applied(): number {
    return this.#applied;
  }

  /** Starts over: the network has left this host, or the store may be another one. */
  reset(): void {
    this.#applied = this.#published = this.#awaited = 0;
  }

  /** Publishes without delay when this host has applied that revision. */
  publishSoon(revision: number): void {
    this.#awaited = Math.max(this.#awaited, revision);
    this.#hurry.abort(AWAITED);
  }

  /** Publishes that the network is set up here, with this host's VTEP. */
  async publishPresence(): Promise<void> {
    const { id, context: { view, host, prober } } = this.network;
    const probeVni = await prober.answering(id);
    const plan = (now: string) =>
      planPresence(view, id, { hostname: host.hostname, mtu: this.network.mtuHere, now, probeVni });
    // At each check it is published already.
    if (plan("")) await this.network.commit(() => plan(timestamp()));
    // This host may have had another VTEP when its endpoints were created.
    for (const { id: endpoint, record } of [...this.network.endpoints]) {
      if (record.host_ip === host.ip.toString() && record.api_hostname === host.apiHostname) continue;
      await this.network.commit(() =>
        view.endpoint(endpoint) ? planHostAddresses(view, endpoint, host).plan : undefined
      );
    }
  }

  /**
   * Publishes up to which revision this host has applied the network's changes.
   * @param awaited A request may wait for it, see {@link isAwaited}.
   */
  publish(revision: number, awaited: boolean): void {
    if (!this.network.steady) return;
    this.#applied = Math.max(this.#applied, revision);
    if (this.#applied === this.#published) return;
    if (awaited) this.publishSoon(this.#applied);
    this.#publishing ??= this.#publishAll().finally(() => this.#publishing = undefined);
  }

  /** Ends after a publication that is running. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#hurry.abort();
    await this.#publishing;
  }

  async #publishAll(): Promise<void> {
    const { id, context: { view, log, storeGuard, host: { hostname } } } = this.network;
    const { signal } = this.#closing;
    for (let isLast = false; this.#applied !== this.#published && !isLast;) {
      this.#hurry = new AbortController();
      if (this.#awaited <= this.#published && !signal.aborted) {
        await delay(this.longestSilence, this.#hurry.signal);
      }
      // Each host receives the publications of all others, so the delay grows with their number: the load on etcd
      // then does not grow with its square, and the change itself is delivered first.
      const hosts = view.space(id).hosts.size;
      await delay(Math.min(hosts * hosts / 10, this.longestSilence), signal);
      // What is applied while this is written is published too, also where the agent ends meanwhile.
      isLast = signal.aborted;
      const revision = this.#applied;
      try {
        await this.network.commit(() =>
          view.networksOn(hostname).has(id) ? planApplied(view, id, hostname, revision) : undefined
        );
        failpoint("applied:after-commit");
        this.#published = revision;
      } catch (error) {
        log.debug({ network: id }, `the applied revision could not be published: ${messageOf(error)}`);
        // After the hold the network is compared, and published again.
        if (storeGuard.hold) return;
        await delay(this.longestSilence, signal);
        isLast = signal.aborted;
      }
    }
  }
}
