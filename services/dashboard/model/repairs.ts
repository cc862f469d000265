/** Repairs by host and network: of differences from etcd that other programs had made in the kernel. */
import type { HostAnswer } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import type { HostRepairs } from "../host_repairs.ts";
import { hostHref, networkHref } from "../links.ts";
import { TablePage, type TableSpec } from "../table.ts";
import { msOf } from "../history/told.ts";
import { networkTitles } from "./network_titles.ts";

/** The repairs of a network on one host since its agent was started. */
export interface RepairRow {
  readonly host: string;
  /** By which its network's page is asked for; empty: of the host itself. */
  readonly network: string;
  /** Its network's title, where that is something else. */
  readonly networkTitle?: string;
  /** How often something was found, and how many differences there were in all. */
  readonly times: number;
  readonly differences: number;
  /** By the operation that has mended them. */
  readonly operations: Readonly<Record<string, number>>;
  /** When the last one was, and since when they are counted, in RFC 3339. */
  readonly last?: string;
  readonly since?: string;
}

export interface RepairsModel {
  readonly repairs: TablePage<RepairRow>;
  /** Hosts that have repaired something, and whose agents do not say of which networks, with how much that was. */
  readonly others: readonly { readonly host: string; readonly mended: number }[];
}

const operationsText = ({ operations }: RepairRow) =>
  Object.entries(operations).sort(([, a], [, b]) => b - a).map(([op, count]) =>
    count > 1 ? `${op} (${count})` : op
  ).join(", ");

/** The table of repairs by host and network. @param id The prefix of its parameters, where a page has several tables. */
export function repairsTable(id = ""): TableSpec<RepairRow> {
  return {
    id,
    caption: "What hosts have repaired",
    sort: "-last",
    none: "No host has found anything that other programs had changed.",
    columns: [
      { key: "host", title: "Host", text: ({ host }) => host, href: ({ host }) => hostHref(host) },
      {
        key: "network",
        title: "Network",
        text: ({ network, networkTitle }) => networkTitle ?? (network || "the host itself"),
        href: ({ network }) => network ? networkHref(network) : undefined,
      },
      { key: "times", title: "Times", text: ({ times }) => times, look: "number" },
      { key: "differences", title: "Differences", text: ({ differences }) => differences, look: "number" },
      { key: "operations", title: "Repaired by", text: operationsText },
      { key: "last", title: "Last", text: ({ last }) => last, look: "code" },
      { key: "since", title: "Counted since", text: ({ since }) => since, look: "code" },
    ],
  };
}

/** The rows of all hosts. @param network Only those of this overlay network, by its id. */
export function repairRows(cluster: Cluster, { byHost }: HostRepairs, network?: string): RepairRow[] {
  const titleOf = networkTitles(cluster);
  return [...byHost].flatMap(([host, { since, networks }]) =>
    networks.filter(({ id }) => network === undefined || id === network).map((
      { id, times, differences, last, ops },
    ): RepairRow => ({
      host,
      ...titleOf(id),
      times,
      differences,
      operations: ops,
      ...timeIn("last", last),
      ...timeIn("since", since),
    }))
  );
}

/** Throws Refusal "invalid" for a parameter that is not right. */
export function repairsModel(
  cluster: Cluster,
  repairs: HostRepairs,
  said: ReadonlyMap<string, HostAnswer>,
  parameters: URLSearchParams,
): RepairsModel {
  const others = [...said].flatMap(([host, { mended }]) =>
    mended > 0 && !repairs.byHost.has(host) ? [{ host, mended }] : []
  );
  return { repairs: new TablePage(repairsTable(), repairRows(cluster, repairs), parameters), others };
}

/** A time that an agent has written, unless it is none. */
function timeIn<K extends "last" | "since">(key: K, text: string): { [key in K]?: string } {
  const ms = msOf(text);
  return ms === undefined ? {} : { [key]: new Date(ms).toISOString() } as { [key in K]?: string };
}
