import { messageOf } from "../../common/refusal.ts";
import { localFault, presenceProblems } from "../../overlay/faults.ts";
import type { Neighbours } from "../../overlay/neighbours.ts";
import type { OverlayEndpoint } from "../../overlay/space.ts";
import type { EndpointChange } from "../../overlay/view.ts";
import type { HostNetwork } from "./host_network.ts";

/** Problems that are some record's: see notCarriedOut() and presenceProblems(). */
const REFUSED = / in etcd is not (carried out|believed): /;

/** What keeps this host from bringing one network to what the store says. */
export class Problems {
  /** Of the network and of other hosts' endpoints, a sentence each. */
  network: readonly string[] = [];
  /** Of this host's endpoints, by their ids. */
  readonly endpoints = new Map<string, Error>();
  /** Of what hosts say of the network. */
  #hosts: readonly string[] = [];
  /** Problems with records that have been logged. */
  #told: ReadonlySet<string> = new Set();

  constructor(private readonly of: HostNetwork) {}

  get all(): readonly string[] {
    return [...this.network, ...this.#hosts, ...[...this.endpoints.values()].map(messageOf)];
  }

  /** Looks for what hosts say of the network and is not believed. */
  lookAtHosts(): void {
    const { id, context: { view } } = this.of, found = presenceProblems(view, id);
    if (!found.length && !this.#hosts.length) return;
    this.#hosts = found;
    this.tell("some");
  }

  /** Says of each changed endpoint what keeps other hosts' records from being carried out. */
  renew(changes: readonly EndpointChange[], neighbours: Neighbours): void {
    const { id: network, context: { view } } = this.of;
    for (const { before, after } of changes) {
      const id = (after ?? before)?.id ?? "", endpoint = view.endpoint(id);
      const problem = endpoint?.network === network ? neighbours.problem(endpoint) : undefined;
      if (problem === undefined && !this.network.length) continue;
      const others = this.network.filter((other) => !other.includes(id));
      const name = view.network(network)?.name;
      this.network = problem === undefined ? others : [...others, `network ${name}: ${problem}`];
    }
  }

  /** True for an active endpoint of this host whose record is not carried out, which is a problem of it from then on. */
  refuses(endpoint: OverlayEndpoint): boolean {
    const { id, context: { view, host } } = this.of, network = view.network(id);
    if (!network || !endpoint.active || endpoint.host !== host.hostname) return false;
    const fault = localFault(endpoint, network, view);
    if (fault === undefined) return false;
    this.endpoints.set(endpoint.id, this.of.refusal(endpoint.id, fault));
    return true;
  }

  /**
   * Logs and counts each problem with a record once, as long as it stays.
   * @param known "some": a comparison is under way, and what is not among them may come yet
   */
  tell(known: "all" | "some"): void {
    const { id, context: { log, counters } } = this.of;
    const now = new Set(this.all.filter((problem) => REFUSED.test(problem)));
    for (const problem of now) {
      if (this.#told.has(problem)) continue;
      log.warn({ network: id }, problem);
      counters.refusedRecords.inc();
    }
    this.#told = known === "all" ? now : now.union(this.#told);
  }
}
