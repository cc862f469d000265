/** The matrix of hosts and overlay networks: how many endpoints a host has in each network, and how far it is behind there. */
import type { Space } from "../../overlay/space.ts";
import { endpointsSince } from "../../overlay_names/attached.ts";
import { hostHref } from "../links.ts";
import { filterOf, fittingRows, Sheet, type TableSpec } from "../table.ts";
import { type HostRow, hostsTable } from "./hosts.ts";
import { type NetworkRow, networksTable } from "./networks.ts";

/** A network on a host; null where the host does not have it. */
export type Place = {
  readonly endpoints: number;
  /** The revision that the host has published as applied; absent for SAND's agents, and for hosts without presence. */
  readonly applied?: number;
  /** How many of the network's endpoints are newer. */
  readonly behind?: number;
} | null;

export interface Placement {
  readonly hosts: Sheet<HostRow>;
  readonly networks: Sheet<NetworkRow>;
  /** A row for each host, in which there is one for each network. */
  readonly cells: readonly (readonly Place[])[];
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
 * @param spaceOf The contents of a network, by its id.
 * @throws Refusal "invalid" for a parameter that is not right
 */
export function placementOf(
  all: { readonly hosts: readonly HostRow[]; readonly networks: readonly NetworkRow[] },
  spaceOf: (id: string) => Space,
  parameters: URLSearchParams,
): Placement {
  const overlays = all.networks.filter(({ kind }) => kind === "overlay");
  const wanted = { hosts: filterOf(hosts, parameters), networks: filterOf(networks, parameters) };
  const named = new Set(fittingRows(hosts, all.hosts, wanted.hosts).map(({ name }) => name));
  const withOne = new Set<string>(), onOne = new Set<string>();
  if (wanted.hosts || wanted.networks) {
    for (const { id = "" } of fittingRows(networks, overlays, wanted.networks)) {
      for (const host of hostsOf(spaceOf(id))) {
        withOne.add(host);
        if (named.has(host)) onOne.add(id);
      }
    }
  }
  const rows = new Sheet(hosts, all.hosts, parameters, ({ name }) => !wanted.networks || withOne.has(name));
  const columns = new Sheet(networks, overlays, parameters, ({ id = "" }) => !wanted.hosts || onOne.has(id));
  const placeIn = columns.rows.map(({ id = "" }) => placesIn(spaceOf(id)));
  return {
    hosts: rows,
    networks: columns,
    cells: rows.rows.map(({ name }) => placeIn.map((place) => place(name))),
  };
}

/** The hosts that have a network, or endpoints in it; one may come twice. */
export function* hostsOf(space: Space): Iterable<string> {
  yield* space.hosts.keys();
  yield* space.hostsWithEndpoints();
}

function placesIn(space: Space): (host: string) => Place {
  const since = endpointsSince(space);
  return (host) => {
    const endpoints = space.endpointsOn(host).size;
    if (!endpoints && !space.hosts.has(host)) return null;
    // One without a presence there has told nothing, as its row has it, too.
    if (!space.hosts.has(host) || space.isSilent(host)) return { endpoints };
    const applied = space.applied.get(host) ?? 0;
    // A host without endpoints there has nothing to apply.
    return { endpoints, applied, behind: endpoints ? since.count(applied) : 0 };
  };
}
