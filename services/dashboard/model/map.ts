/** The data of the map: hosts, the networks that they have, and pairs of hosts that do not reach each other. */
import { type HostAnswer, MOST_POLLED } from "../agents.ts";
import { hostHref } from "../links.ts";
import { TablePage, type TableSpec } from "../table.ts";
import type { HostStates } from "./host_states.ts";
import { type HostRow, hostsTable } from "./hosts.ts";
import { type MapHost, type MapPicture, pictureOf, type Placed, type ProbeFailure } from "./map_picture.ts";
import type { NetworkRow } from "./network_row.ts";

export interface MapModel {
  /** How many hosts there are; of more than `most` there is no map. */
  readonly count: number;
  readonly most: number;
  readonly hosts?: TablePage<MapHost>;
  readonly failures?: TablePage<ProbeFailure>;
}

/** The most networks that a cell of the table names. */
const MOST_NAMED = 10;

const hostColumns = (...keys: string[]) => hostsTable(0).columns.filter(({ key }) => keys.includes(key));

const hostsSpec: TableSpec<MapHost> = {
  id: "hosts",
  caption: "Hosts of the map",
  sort: "name",
  none: "No host has something in an overlay network, and no agent runs.",
  columns: [
    { key: "name", title: "Host", text: ({ name }) => name, href: ({ name }) => hostHref(name) },
    ...hostColumns("agent", "endpoints", "behind"),
    { key: "on", title: "Endpoints by network", text: ({ on }) => textOf(on), order: ({ on }) => on.length },
    ...hostColumns("reaches"),
  ],
};

const failuresSpec: TableSpec<ProbeFailure> = {
  id: "failures",
  caption: "Probes that fail",
  sort: "from",
  none: "No probe fails of those that are known.",
  columns: [
    { key: "from", title: "From", text: ({ from }) => from, href: ({ from }) => hostHref(from) },
    { key: "to", title: "To", text: ({ to }) => to, href: ({ to }) => hostHref(to) },
  ],
};

export const mapTables = { hosts: hostsSpec, failures: failuresSpec };

function textOf(on: readonly Placed[]): string {
  const shown = on.slice(0, MOST_NAMED).map(({ title, network, endpoints }) =>
    `${title ?? network} ${endpoints}`
  );
  return shown.join(", ") + (on.length > MOST_NAMED ? ` and ${on.length - MOST_NAMED} more` : "");
}

/** The contents of the map, whatever its tables are sorted and filtered by; empty where there are too many hosts. */
export interface MapContent {
  readonly count: number;
  readonly drawn?: {
    readonly hosts: readonly MapHost[];
    readonly failures: readonly ProbeFailure[];
    readonly picture: MapPicture;
  };
}

/**
 * Gathers what is on the map.
 *
 * @param all Hosts with what their agents say.
 * @param statesOf The states of a network's hosts, by its id.
 */
export function mapContent(
  all: { readonly hosts: readonly HostRow[]; readonly networks: readonly NetworkRow[] },
  statesOf: (id: string) => HostStates | undefined,
  said: ReadonlyMap<string, HostAnswer>,
): MapContent {
  const count = all.hosts.length;
  if (count > MOST_POLLED) return { count };
  const on = new Map<string, Placed[]>(all.hosts.map(({ name }) => [name, []]));
  for (const { id, kind, name: network, title } of all.networks) {
    for (const [host, { endpoints }] of kind === "overlay" ? statesOf(id ?? "") ?? [] : []) {
      on.get(host)?.push({ network, ...title !== undefined && { title }, endpoints });
    }
  }
  const hosts = all.hosts.map((row): MapHost => ({ ...row, on: on.get(row.name) ?? [] }));
  // Agents call others as they like: only hosts that etcd has are on the map.
  const failures = [...said].flatMap(([from, { reaches }]) =>
    on.has(from) ? [...reaches].flatMap(([to, answers]) => answers || !on.has(to) ? [] : { from, to }) : []
  );
  return { count, drawn: { hosts, failures, picture: pictureOf(hosts, failures) } };
}

/** The map's tables. Throws Refusal "invalid" for a parameter that is not right. */
export function mapModel({ count, drawn }: MapContent, parameters: URLSearchParams): MapModel {
  return {
    count,
    most: MOST_POLLED,
    ...drawn && {
      hosts: new TablePage(hostsSpec, drawn.hosts, parameters),
      failures: new TablePage(failuresSpec, drawn.failures, parameters),
    },
  };
}
