/** The table of the dashboard's views: each has a path, its parameters, a model that is also served as JSON, and a page. */
import type { Child } from "hono/jsx";
import { Refusal } from "../common/refusal.ts";
import { HostAgents } from "./agents.ts";
import type { AnyNetwork, Cluster } from "./cluster.ts";
import { CachedModel } from "./cached_model.ts";
import type { HostRepairs } from "./host_repairs.ts";
import { FleetHealth, type HealthOptions, servicesTable } from "./model/health.ts";
import { hostRows, hostsTable, withAgents } from "./model/hosts.ts";
import { findMachines, type Machine, MOST_FOUND } from "./model/machines.ts";
import { summaryOf } from "./model/summary.ts";
import {
  machineColumns,
  machinesTable,
  namesTable,
  networkModel,
  networkRows,
  networksTable,
  stateColumn,
} from "./model/networks.ts";
import { mapContent, mapModel, mapTables } from "./model/map.ts";
import { placementOf, placementTables } from "./model/placement.ts";
import { ratesModel, ratesTable } from "./model/rates.ts";
import { repairRows, repairsModel, repairsTable } from "./model/repairs.ts";
import type { Rates } from "./rates/rates.ts";
import { applyHref, deleteHref, networkHref } from "./links.ts";
import { Explainer } from "./model/explain.ts";
import { ExplainPage } from "./pages/explain.tsx";
import { HealthPage } from "./pages/health.tsx";
import { MapPage } from "./pages/map.tsx";
import { MatrixTable, UnreachableHosts } from "./pages/matrix.tsx";
import { matrixOf } from "./model/reach.ts";
import type { MachineChanges } from "./pages/machine.tsx";
import { NetworkPage } from "./pages/network.tsx";
import { PlacementPage } from "./pages/placement.tsx";
import { RatesPage } from "./pages/rates.tsx";
import { RepairsPage } from "./pages/repairs.tsx";
import { Table } from "./pages/table.tsx";
import { checkedText, parametersOf, TablePage, type TableSpec } from "./table.ts";
import type { SubmittedChange } from "./write/sent.ts";

/** The request, with the data that a view reads. */
export interface ViewRequest {
  /** The part of the path that the view's own path has as `:id`. */
  readonly id: string;
  readonly parameters: URLSearchParams;
  /** Path and query. */
  readonly url: string;
  /** In ms since the epoch. */
  readonly now: number;
}

/** The answer of a view. */
export interface ViewAnswer {
  readonly title: string;
  /** Becomes the JSON. */
  readonly model: object;
  /** The topics of changes that concern it; `all`: every one. Undefined: the page is not fetched again, and keeps what is typed. */
  readonly live?: readonly string[];
  readonly page: Child;
  /** 200 by default. */
  readonly status?: AnswerStatus | undefined;
}

/** The statuses that a view answers with. */
export type AnswerStatus = 200 | 400 | 403 | 404 | 405 | 409 | 415 | 500 | 503;

/** The status of a refusal. */
export function statusFor({ code }: Refusal): AnswerStatus {
  return code === "not-found" ? 404 : code === "unavailable" ? 503 : code === "invalid" ? 400 : 409;
}

export interface DashboardView {
  readonly path: string;
  /** The parameters that it takes. */
  readonly parameters: readonly string[];
  /** Throws Refusal "invalid" and "not-found". */
  show(request: ViewRequest): ViewAnswer | Promise<ViewAnswer>;
  /** The action of POST; undefined: it is refused. */
  change?(request: ViewRequest, sent: SubmittedChange): ViewAnswer | Promise<ViewAnswer>;
}

const findTable: TableSpec<Machine> = {
  id: "",
  caption: "Machines",
  sort: "name",
  none: "No machine has this as part of its MAC, address or name.",
  columns: [
    ...machineColumns,
    {
      key: "network",
      title: "Network",
      text: ({ network, networkTitle }) => networkTitle ?? network,
      href: ({ network }) => networkHref(network),
    },
    { key: "host", title: "Host", text: ({ host }) => host },
    { key: "kind", title: "Kind", text: ({ kind }) => kind },
    stateColumn,
  ],
};

/** True for a network that nexd can change: one of SAND's or Docker's without a name is its makers'. */
function isNamed(network: AnyNetwork): boolean {
  return network.kind === "lan" || network.named !== undefined;
}

/** Links to the forms that change a machine. */
export function changesOf(cluster: Cluster, { network: key, mac, kind, endpoint }: Machine): MachineChanges {
  const network = cluster.network(key);
  if (!network) return {};
  const isMember = network.kind === "lan" ? kind === "member" : network.space.reservations.has(mac);
  return {
    ...isNamed(network) && mac && { edit: applyHref(key, mac), isMember },
    ...isNamed(network) && isMember && { deleteMember: deleteHref(key, { member: mac }) },
    ...endpoint && { deleteEndpoint: deleteHref(key, { endpoint }) },
  };
}

export function viewsOf(
  cluster: Cluster,
  { rates, repairs, ...options }: Omit<HealthOptions, "networks" | "hosts" | "agents"> & {
    readonly rates: Rates;
    readonly repairs: HostRepairs;
  },
): DashboardView[] {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = (ms: number) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      cluster.hostsChanged();
    }, ms);
  };
  const allNetworks = new CachedModel((now) => networkRows(cluster, now), { late }),
    allHosts = new CachedModel((now) => hostRows(cluster, now), { late });
  const explainer = new Explainer(cluster, options.config);
  const agents = new HostAgents(cluster, options.config, () => cluster.hostsChanged());
  const statesOf = (id: string) => {
    const network = cluster.overlay(id);
    return network ? summaryOf(cluster, network, Date.now()).hosts : undefined;
  };
  const map = new CachedModel(() => {
    const { said } = agents, hosts = withAgents(allHosts.value, said);
    return mapContent({ hosts, networks: allNetworks.value }, statesOf, said);
  }, { late });
  cluster.subscribe(() => {
    for (const kept of [allNetworks, allHosts, map]) kept.changed();
  });
  const mayChange = options.config.dashboard.write;
  const health = new FleetHealth(cluster, { ...options, networks: allNetworks, hosts: allHosts, agents });
  return [
    {
      path: "/",
      parameters: parametersOf(servicesTable),
      async show({ parameters, url, now }) {
        const model = await health.model(parameters, now);
        return {
          title: "Health",
          model,
          live: ["all"],
          page: <HealthPage model={model} url={url} now={now} />,
        };
      },
    },
    {
      path: "/problems",
      parameters: ["kind", ...parametersOf({ id: "" })],
      async show({ parameters, url, now }) {
        const problems = await health.problems(parameters, now);
        return {
          title: "Problems",
          model: { problems },
          live: ["all"],
          page: <Table sheet={problems} url={url} alone />,
        };
      },
    },
    {
      path: "/networks",
      parameters: parametersOf(networksTable),
      show({ parameters, url }) {
        const networks = new TablePage(networksTable, allNetworks.value, parameters);
        return {
          title: "Networks",
          model: { networks },
          live: ["all"],
          page: <Table sheet={networks} url={url} alone />,
        };
      },
    },
    {
      path: "/networks/:id",
      parameters: [machinesTable("lan"), { id: "leases" }, namesTable, { id: "repairs" }].flatMap(
        parametersOf,
      ),
      show({ id, parameters, url, now }) {
        const network = cluster.network(id);
        if (!network) throw new Refusal("not-found", `there is no network "${id}"`);
        const model = networkModel(cluster, network, parameters, now);
        const mended = network.kind === "overlay" &&
          new TablePage(repairsTable("repairs"), repairRows(cluster, repairs, network.id), parameters);
        return {
          title: `Network ${network.title}`,
          model: { ...model, ...mended && { repairs: mended } },
          live: [`network:${network.key}`, "health"],
          page: (
            <>
              <NetworkPage model={model} url={url} mayChange={mayChange && isNamed(network)} />
              {mended && <Table sheet={mended} url={url} />}
            </>
          ),
        };
      },
    },
    {
      path: "/hosts",
      parameters: parametersOf({ id: "" }),
      show({ parameters, url, now }) {
        const { said } = agents;
        const hosts = new TablePage(hostsTable(now), withAgents(allHosts.value, said), parameters);
        const reachability = matrixOf(said);
        return {
          title: "Hosts",
          model: { hosts, ...reachability && { reachability } },
          live: ["all"],
          page: (
            <>
              <Table sheet={hosts} url={url} alone />
              <UnreachableHosts said={said} />
              <p class="state">
                <a href="/repairs">What hosts have repaired, by network</a>
              </p>
              {reachability && <MatrixTable matrix={reachability} />}
            </>
          ),
        };
      },
    },
    {
      path: "/matrix",
      parameters: Object.values(placementTables).flatMap(parametersOf),
      show({ parameters, url }) {
        const hosts = withAgents(allHosts.value, agents.said), networks = allNetworks.value;
        const model = placementOf({ hosts, networks }, statesOf, parameters);
        return {
          title: "Networks by host",
          model,
          live: ["all"],
          page: <PlacementPage model={model} url={url} />,
        };
      },
    },
    {
      path: "/map",
      parameters: Object.values(mapTables).flatMap(parametersOf),
      show({ parameters, url }) {
        const content = map.value, model = mapModel(content, parameters);
        return {
          title: "Map",
          model,
          live: ["all"],
          page: <MapPage model={model} picture={content.drawn?.picture} url={url} />,
        };
      },
    },
    {
      path: "/repairs",
      parameters: parametersOf({ id: "" }),
      show({ parameters, url }) {
        const model = repairsModel(cluster, repairs, agents.said, parameters);
        return {
          title: "What hosts have repaired",
          model,
          live: ["hosts"],
          page: <RepairsPage model={model} url={url} />,
        };
      },
    },
    {
      path: "/rates",
      parameters: parametersOf(ratesTable),
      show({ parameters, url }) {
        const model = ratesModel(rates, options.config, parameters);
        // An open page fetches it at intervals, and changes of etcd do not concern it.
        return { title: "Rates", model, live: [], page: <RatesPage model={model} url={url} /> };
      },
    },
    {
      path: "/find",
      parameters: ["q", ...parametersOf(findTable)],
      show({ parameters, url, now }) {
        const q = checkedText(parameters.get("q") ?? undefined, "q");
        if (!q) throw new Refusal("invalid", "q: what is to be found is missing, like /find?q=web");
        const found = findMachines(cluster, q, now);
        const machines = new TablePage(findTable, found.machines, parameters);
        return {
          title: `Machines with ${q}`,
          model: { q, machines, ...found.isCut && { isCut: true } },
          live: ["all"],
          page: (
            <>
              {found.isCut && (
                <p class="warn">More than {MOST_FOUND} machines have this, of which these are some.</p>
              )}
              <Table sheet={machines} url={url} alone />
            </>
          ),
        };
      },
    },
    {
      path: "/explain",
      parameters: ["network", "a", "b"],
      async show({ parameters }) {
        const [network = "", a = "", b = ""] = ["network", "a", "b"].map((name) =>
          checkedText(parameters.get(name) ?? undefined, name)
        );
        const model = await explainer.model(network, a, b);
        return {
          title: model.found
            ? `From ${a} to ${b} in network ${network}`
            : "Why does one machine not reach another?",
          model,
          // Agents are asked when the page is looked at, not at each change.
          live: [],
          page: <ExplainPage model={model} proposals={explainer.proposals(network)} />,
        };
      },
    },
  ];
}
