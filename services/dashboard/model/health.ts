/**
 * Lists the system's problems with their remedies: those of services and etcd members as in `strand status`, and
 * those of hosts and networks by etcd.
 */
import type { Config } from "../../common/config.ts";
import type { Report } from "../../common/http_status.ts";
import { invalid } from "../../common/refusal.ts";
import { type ServiceStatus, statusOf } from "../../common/service_status.ts";
import { formatHostPort } from "../../common/host_port.ts";
import { machineStatus, serviceNames } from "../../store/machine_status.ts";
import type { HostAgents } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import { TablePage, type TableSpec } from "../table.ts";
import type { CachedModel } from "../cached_model.ts";
import type { HostRow } from "./hosts.ts";
import type { NetworkRow } from "./network_row.ts";
import {
  type Found,
  problemsTable,
  troublesOfHosts,
  troublesOfNames,
  troublesOfNetworks,
} from "./problems.ts";
import { agentTroubles } from "./reach.ts";
import { grouped, type GroupedTrouble, type Trouble, TROUBLE_KINDS } from "./trouble.ts";

/** For how long what was found of services is shown, in ms: a page that is open in many browsers must not ask them at each turn. */
const KEPT = 2000;
/** A host may be this long behind without a word, in ms: it is so after each change. */
const MAY_LAG = 5000;

export interface HealthModel {
  readonly ok: boolean;
  /** How many problems there are. */
  readonly total: number;
  /** All of them, those of a kind as one where there are many. */
  readonly problems: readonly (Trouble | GroupedTrouble)[];
  readonly warnings: readonly { readonly where: string; readonly what: string }[];
  readonly services: TablePage<ServiceStatus>;
  readonly counts: Readonly<Record<"networks" | "machines" | "leases" | "hosts", number>>;
}

export const servicesTable: TableSpec<ServiceStatus> = {
  id: "",
  caption: "Services of this machine, and members of etcd",
  sort: "service",
  none: "No service answers.",
  columns: [
    { key: "service", title: "Service", text: ({ service }) => service },
    { key: "address", title: "Address", text: ({ address }) => address, look: "code" },
    {
      key: "state",
      title: "State",
      text: ({ reachable, ready }) => !reachable ? "unreachable" : ready ? "ready" : "not ready",
      tone: ({ ready }) => ready ? "good" : "bad",
    },
    { key: "version", title: "Version", text: ({ version }) => version },
    { key: "revision", title: "Revision", text: ({ revision }) => revision, look: "number" },
    {
      key: "lag",
      title: "Lag",
      text: ({ lag }) => lag === undefined ? undefined : `${(lag / 1000).toFixed(1)} s`,
      order: ({ lag }) => lag,
      look: "number",
    },
  ],
};

export interface HealthOptions {
  readonly config: Config;
  /** The report of this process. */
  readonly report: () => Report;
  readonly networks: CachedModel<NetworkRow[]>;
  readonly hosts: CachedModel<HostRow[]>;
  readonly agents: HostAgents;
}

/** Looks at the health of everything, and remembers since when it has seen what. */
export class FleetHealth {
  readonly #since = new Map<string, number>();
  #polled: { readonly at: number; readonly rows: Promise<ServiceStatus[]> } | undefined;

  constructor(private readonly cluster: Cluster, private readonly options: HealthOptions) {}

  /** @param now In ms since the epoch. */
  async model(parameters: URLSearchParams, now: number): Promise<HealthModel> {
    const { rows, networks, hosts, troubles } = await this.#look(now);
    return {
      ok: troubles.length === 0 && rows.every(({ ready }) => ready),
      total: troubles.length,
      problems: grouped(troubles),
      warnings: rows.flatMap(({ service, warnings = [] }) =>
        warnings.map((what) => ({ where: service, what }))
      ),
      services: new TablePage(servicesTable, rows, parameters),
      counts: {
        networks: networks.length,
        machines: networks.reduce((sum, { machines }) => sum + machines, 0),
        leases: networks.reduce((sum, { leases }) => sum + leases, 0),
        hosts: hosts.length,
      },
    };
  }

  /**
   * All problems, or those of one kind, page by page. Throws Refusal "invalid" for a parameter that is not right.
   *
   * @param now In ms since the epoch.
   */
  async problems(parameters: URLSearchParams, now: number): Promise<TablePage<Trouble>> {
    const kind = parameters.get("kind") ?? undefined;
    if (kind !== undefined && !TROUBLE_KINDS.some((known) => known === kind)) {
      throw invalid(`kind: "${kind}" is none; known are ${TROUBLE_KINDS.join(", ")}`);
    }
    const { troubles } = await this.#look(now);
    const wanted = kind === undefined ? troubles : troubles.filter((trouble) => trouble.kind === kind);
    return new TablePage(problemsTable(now), wanted, parameters);
  }

  /** Finds what is wrong now, and since when that is known. */
  async #look(now: number) {
    const rows = await this.#services(),
      networks = this.options.networks.value,
      hosts = this.options.hosts.value;
    const found: Found[] = [
      ...rows.flatMap(({ service, problems }) =>
        problems.map(({ what, fix }) => ({
          kind: "service" as const,
          where: service,
          what,
          fix,
          key: `${service} ${fix}`,
        }))
      ),
      ...troublesOfHosts(hosts),
      ...agentTroubles(
        this.options.agents.said,
        rows.flatMap(({ problems }) => problems.map(({ what }) => what)),
      ),
      ...troublesOfNetworks(networks),
      ...troublesOfNames(this.cluster.nex),
    ];
    const seen = new Set(found.map(({ key }) => key));
    for (const key of this.#since.keys()) if (!seen.has(key)) this.#since.delete(key);
    const troubles = found.flatMap(({ key, ...trouble }): Trouble[] => {
      const since = this.#since.get(key) ?? now;
      this.#since.set(key, since);
      if (trouble.kind === "behind" && now - since < MAY_LAG) return [];
      return [{ ...trouble, since: new Date(since).toISOString() }];
    });
    return { rows, networks, hosts, troubles };
  }

  async #services(): Promise<ServiceStatus[]> {
    const { config, report } = this.options, now = performance.now();
    if (!this.#polled || now - this.#polled.at > KEPT) {
      const others = serviceNames.filter((name) => name !== "dashboard");
      const rows = machineStatus(config, config.file, []).then((all) =>
        all.filter(({ service }) => service === "etcd" || (others as string[]).includes(service))
      );
      this.#polled = { at: now, rows };
    }
    const own = statusOf(report(), formatHostPort(config.dashboard.listen));
    return [...await this.#polled.rows, own];
  }
}
