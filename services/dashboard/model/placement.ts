/** The matrix of hosts and overlay networks: how many endpoints a host has in each network, and how far it is behind there. */
import type { HostState } from "../../overlay_names/attached.ts";
import { hostHref } from "../links.ts";
import { filterOf, fittingRows, TablePage, type TableSpec } from "../table.ts";
import type { HostStates } from "./host_states.ts";
import { type HostRow, hostsTable } from "./hosts.ts";
import type { NetworkRow } from "./network_row.ts";
import { networksTable } from "./networks.ts";

/** A network on a host; null where the host does not have it. */
export type NetworkOnHost = {
  readonly endpoints: number;
  /** The revision that the host has published as applied; absent for SAND's agents, and for hosts without presence. */
  readonly applied?: number;
  /** How many of the network's endpoints are newer. */
  readonly behind?: number;
} | null;

export interface NetworksOnHosts {
  readonly hosts: TablePage<HostRow>;
  readonly networks: TablePage<NetworkRow>;
  /** A row for each host, in which there is one for each network. */
  readonly cells: readonly (readonly NetworkOnHost[])[];
}

const hosts: TableSpec<HostRow> = {
  id: "hosts",
  caption: "Hosts",
  sort: "name",
  none: "No host has something in an overlay network, and no agent runs.",
  size: { usual: 25, most: 200 },
  columns: hostsTable(0).columns
    .filter(({ key }) => ["name", "agent", "networks", "endpoints", "behind", "mended"].includes(key))
    .map((column) =>
      column.key === "name"
        ? { ...column, href: ({ name }) => hostHref(name) }
        : { ...column, isUnsearched: true }
    ),
};

const networks: TableSpec<NetworkRow> = {
  id: "networks",
  caption: "Networks",
  sort: "name",
  none: "There is no network with an overlay.",
  size: { usual: 12, most: 50 },
  columns: networksTable.columns
    .filter(({ key }) => ["name", "id", "machines", "hosts", "behind"].includes(key))
    .map((column) => ["name", "id"].includes(column.key) ? column : { ...column, isUnsearched: true }),
};

export const placementTables = { hosts, networks };

/**
 * One page of the matrix. Where networks are searched for, only hosts that have one of these are shown, and the other way round.
 *
 * @param statesOf The states of a network's hosts, by its id.
 * @throws Refusal "invalid" for a parameter that is not right
 */
export function placementOf(
  all: { readonly hosts: readonly HostRow[]; readonly networks: readonly NetworkRow[] },
  statesOf: (id: string) => HostStates | undefined,
  parameters: URLSearchParams,
): NetworksOnHosts {
  const overlays = all.networks.filter(({ kind }) => kind === "overlay");
  const wanted = { hosts: filterOf(hosts, parameters), networks: filterOf(networks, parameters) };
  const withOne = new Set<string>(), onOne = new Set<string>();
  if (wanted.hosts || wanted.networks) {
    const named = new Set(fittingRows(hosts, all.hosts, wanted.hosts).map(({ name }) => name));
    for (const { id = "" } of fittingRows(networks, overlays, wanted.networks)) {
      for (const host of statesOf(id)?.hosts ?? []) {
        withOne.add(host);
        if (named.has(host)) onOne.add(id);
      }
    }
  }
  const rows = new TablePage(
    hosts,
    all.hosts,
    parameters,
    ({ name }) => !wanted.networks || withOne.has(name),
  );
  const columns = new TablePage(
    networks,
    overlays,
    parameters,
    ({ id = "" }) => !wanted.hosts || onOne.has(id),
  );
  const states = columns.rows.map(({ id = "" }) => statesOf(id));
  return {
    hosts: rows,
    networks: columns,
    cells: rows.rows.map(({ name }) => states.map((its) => networkOnHost(its?.get(name)))),
  };
}

/** @param state The state of a host in a network; undefined: the host has neither the network nor endpoints in it. */
function networkOnHost(state: Readonly<HostState> | undefined): NetworkOnHost {
  if (!state) return null;
  const { networks, endpoints, silent, applied, behind } = state;
  // One without a presence there has told nothing, as its row has it, too.
  return !networks || silent ? { endpoints } : { endpoints, applied, behind };
}
