/** Collects what keeps this host from applying a network's records, for `strand status` and the log. */
import { messageOf } from "../../common/refusal.ts";
import { localFault, presenceProblems } from "../../overlay/faults.ts";
import type { NetworkNeighbours } from "../../overlay/neighbours.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";
import type { HostNetwork } from "./host_network.ts";

/** Matches problems of single records: see notCarriedOut() and presenceProblems(). */
const REFUSED = / in etcd is not (carried out|believed): /;
/** The beginning of the sentence of such a problem, perhaps after the network's name. */
const RECORD = "the record ";

/** The problems that keep this host from bringing one network into the state that etcd describes. */
export class Problems {
  /** Problems of the network and of other hosts' endpoints, a sentence each. */
  network: readonly string[] = [];
  /** Problems of this host's endpoints, by their ids. */
  readonly endpoints = new Map<string, Error>();
  /** Problems of the hosts' own records in the network. */
  #hosts: readonly string[] = [];
  /** Logged problems with records, without the network's name, which only one of the two checks that find a record adds. */
  #told: ReadonlySet<string> = new Set();

  constructor(private readonly of: HostNetwork) {}

  get all(): readonly string[] {
    return [...this.network, ...this.#hosts, ...[...this.endpoints.values()].map(messageOf)];
  }

  /** Collects the hosts' records in the network that are invalid. */
  checkHosts(): void {
    const { id, context: { view } } = this.of, found = presenceProblems(view, id);
    if (!found.length && !this.#hosts.length) return;
    this.#hosts = found;
    this.tell("some");
  }

  /** Updates the problems of other hosts' endpoints after changes. */
  renew(changes: readonly EndpointChange[], neighbours: NetworkNeighbours): void {
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

  /** True for an active endpoint of this host with an invalid record, which is then recorded as its problem. */
  refuses(endpoint: OverlayEndpoint): boolean {
    const { id, context: { view, host } } = this.of, network = view.network(id);
    if (!network || !endpoint.active || endpoint.host !== host.hostname) return false;
    const fault = localFault(endpoint, network, view);
    if (fault === undefined) return false;
    this.endpoints.set(endpoint.id, this.of.refusal(endpoint.id, fault));
    return true;
  }

  /**
   * Logs and counts each problem of a record once, for as long as it stays.
   * @param known "some": a comparison is running, so a problem that is missing may still be found
   */
  tell(known: "all" | "some"): void {
    const { id, context: { log, counters } } = this.of;
    const refused = this.all.filter((problem) => REFUSED.test(problem));
    const now = new Set(refused.map((problem) => problem.slice(Math.max(0, problem.indexOf(RECORD)))));
    for (const problem of now) {
      if (this.#told.has(problem)) continue;
      log.warn({ network: id }, problem);
      counters.refusedRecords.inc();
    }
    this.#told = known === "all" ? now : now.union(this.#told);
  }
}
