import { delay } from "../../common/async.ts";
import { messageOf } from "../../common/refusal.ts";
import { planApplied, planPresence } from "../../overlay/hosts.ts";
import { planReach } from "../../overlay/endpoints.ts";
import { timestamp } from "../context.ts";
import { failpoint } from "../failpoints.ts";
import type { HostNetwork } from "./host_network.ts";

/**
 * What has been carried out is told to the other hosts after so many ms at the latest. Changes of this host's own endpoints
 * take as long, since no other host waits for this one to carry them out.
 */
const LONGEST_SILENCE = 2000;

/** What this host tells the other hosts of a network by way of the store: that it has it, and what it has carried out. */
export class Status {
  /** Revisions: carried out, and told. */
  #applied = 0;
  #published = 0;
  /** What is applied is told without delay up to this revision, since it may be waited for. */
  #awaited = 0;
  /** Ends the delay of what nothing waits for. */
  #hurry = new AbortController();
  #publishing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(private readonly network: HostNetwork) {}

  /** The network is to be told of from the beginning: it has left this host, or the store may be another one. */
  reset(): void {
    this.#applied = this.#published = this.#awaited = 0;
  }

  /** Has the other hosts, and this one's view, told without delay when this host has applied that revision. */
  tellSoon(revision: number): void {
    this.#awaited = Math.max(this.#awaited, revision);
    this.#hurry.abort();
  }

  /** Tells that the network is set up here, and where the other hosts reach its endpoints. */
  async tellPresence(): Promise<void> {
    const { id, context: { view, host, prober } } = this.network;
    const probeVni = await prober.answering(id);
    const presence = () => ({
      hostname: host.hostname,
      mtu: this.network.mtuHere,
      now: timestamp(),
      probeVni,
    });
    await this.network.commit(() => planPresence(view, id, presence()));
    // This host may have had another VTEP when its endpoints were made.
    for (const { id: endpoint, record } of [...this.network.endpoints]) {
      if (record.host_ip === host.ip.toString() && record.api_hostname === host.apiHostname) continue;
      await this.network.commit(() =>
        view.endpoint(endpoint) ? planReach(view, endpoint, host).plan : undefined
      );
    }
  }

  /**
   * Tells the other hosts up to which revision this one has carried out the network's changes.
   * @param own Nothing but this host's own endpoints has changed since it was told of last.
   */
  publish(revision: number, own: boolean): void {
    const { id, steady, context: { view } } = this.network;
    if (!steady) return;
    if (!this.#applied) {
      for (const { entries } of view.space(id).endpoints.values()) {
        for (const { modRevision } of entries) this.#applied = Math.max(this.#applied, modRevision);
      }
    }
    this.#applied = Math.max(this.#applied, revision);
    if (this.#applied === this.#published) return;
    if (!own) this.tellSoon(this.#applied);
    this.#publishing ??= this.#publishAll().finally(() => this.#publishing = undefined);
  }

  /** Ends after what is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#hurry.abort();
    await this.#publishing;
  }

  async #publishAll(): Promise<void> {
    const { id, context: { view, log, host: { hostname } } } = this.network, { signal } = this.#closing;
    while (this.#applied !== this.#published && !signal.aborted) {
      this.#hurry = new AbortController();
      if (this.#awaited <= this.#published) {
        await delay(LONGEST_SILENCE, this.#hurry.signal);
      }
      // Each host hears from all others: what etcd has to deliver does not grow with the square of their number, and
      // first of all comes what the change asks of them.
      const hosts = view.space(id).hosts.size;
      await delay(Math.min(hosts * hosts / 10, LONGEST_SILENCE), signal);
      const revision = this.#applied;
      try {
        await this.network.commit(() =>
          view.networksOn(hostname).has(id) ? planApplied(view, id, hostname, revision) : undefined
        );
        failpoint("applied:after-commit");
        this.#published = revision;
      } catch (error) {
        // The next change tells it, or the next comparison.
        log.debug({ network: id }, `what is applied could not be told: ${messageOf(error)}`);
        return;
      }
    }
  }
}
