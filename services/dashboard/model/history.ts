/** A table of what happened to machines, with how far back it reaches. */
import { Ip } from "../../common/ip.ts";
import { tryParseMac } from "../../common/mac.ts";
import type { Cluster } from "../cluster.ts";
import type { History } from "../history/history.ts";
import type { Row } from "../history/merged.ts";
import { machineHref, networkHref } from "../links.ts";
import { TablePage, type TableSpec } from "../table.ts";
import type { Machine } from "./machines.ts";
import { networkTitles } from "./network_titles.ts";

/** An event of a machine. Times are in RFC 3339. */
export interface EventRow {
  /** Of etcd, when it happened. */
  readonly revision: number;
  /** When, as this dashboard has seen it (`seen`), or by the record itself (`record`). */
  readonly at?: string;
  readonly source?: "record" | "seen";
  /** The next time that is known, where nothing says when it happened: it was before that. */
  readonly before?: string;
  /** A MAC, the id of an endpoint without one, or an address. */
  readonly machine: string;
  /** By which its network's page is asked for; empty: the record does not say. */
  readonly network: string;
  /** Its network's title, where that is something else. */
  readonly networkTitle?: string;
  readonly what: string;
  /** How many renewals of a lease it stands for. */
  readonly times?: number;
  /** The service that wrote it, where that is known. */
  readonly by: string;
}

export interface HistoryModel {
  readonly events: TablePage<EventRow>;
  /** How far back it is known. */
  readonly reach: { readonly revision: number; readonly at: string; readonly why: string };
}

export const historyTable: TableSpec<EventRow> = {
  id: "events",
  caption: "What happened",
  sort: "-revision",
  none: "Nothing is known to have happened to it.",
  columns: [
    { key: "revision", title: "Revision", text: ({ revision }) => revision, look: "number" },
    {
      key: "time",
      title: "Time",
      text: ({ at, before }) => at ?? (before && `before ${before}`),
      order: ({ at, before }) => at ?? before,
      look: "code",
    },
    {
      key: "machine",
      title: "Machine",
      text: ({ machine }) => machine,
      href: ({ machine }) => machineHref(machine),
      look: "code",
    },
    {
      key: "network",
      title: "Network",
      text: ({ network, networkTitle }) => networkTitle ?? network,
      href: ({ network }) => network ? networkHref(network) : undefined,
    },
    { key: "what", title: "What", text: ({ what }) => what },
    { key: "by", title: "By", text: ({ by }) => by },
  ],
};

interface Wanted {
  /** Identifiers of which one is in each event; undefined: all events are wanted. */
  readonly about: readonly string[] | undefined;
  /** Of records that are there. */
  readonly keys?: readonly string[];
  /** Only events of this network: its name, or its id. */
  readonly network?: string | undefined;
}

/** Throws Refusal "invalid" for a parameter that is not right. */
export async function historyModel(
  cluster: Cluster,
  history: History,
  { about, keys, network }: Wanted,
  parameters: URLSearchParams,
): Promise<HistoryModel> {
  const { rows, reach: { at, ...reach } } = await history.of(about, keys);
  const titleOf = networkTitles(cluster);
  // The record of a member of Nex's daemons may not say its network.
  const wanted = network === undefined ? rows : rows.filter((row) => ["", network].includes(row.network));
  return {
    events: new TablePage(
      historyTable,
      wanted.map((row) => ({ ...eventOf(row), ...titleOf(row.network) })),
      parameters,
    ),
    reach: { ...reach, at: timeOf(at) },
  };
}

/** A reader's text as events have it: a MAC in any spelling, an address, a name or an id. */
export function aboutText(text: string): string[] {
  const mac = tryParseMac(text), ip = Ip.tryParse(text);
  return [...new Set([mac, ip?.toString(), text.toLowerCase()].filter((one) => one !== undefined))];
}

/** The keys of a machine's records in etcd. */
export function keysOf(cluster: Cluster, { network: key, mac, endpoint }: Machine): string[] {
  const network = cluster.network(key);
  if (!network) return [];
  if (network.kind === "lan") {
    const member = cluster.nex.member(mac, key);
    return member ? [member.key] : [];
  }
  const { keys } = cluster;
  return [
    ...endpoint ? [keys.networkEndpoint(network.id, endpoint)] : [],
    ...mac && network.space.reservations.has(mac) ? [keys.reservation(network.id, mac)] : [],
  ];
}

/** By what the events of a network are known: its name, or the id of one with an overlay. */
export function historyNetwork(cluster: Cluster, key: string): string | undefined {
  const network = cluster.network(key);
  return network?.kind === "overlay" ? network.id : network?.key;
}

function eventOf({ at, before, network: _, ...row }: Row): Omit<EventRow, "network"> {
  return {
    ...row,
    ...at !== undefined && { at: timeOf(at) },
    ...before !== undefined && { before: timeOf(before) },
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
