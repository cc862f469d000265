/** Lists the hosts that have something in an overlay network, or whose agents run. */
import { type HostState, hostTo, noHostState } from "../../overlay_names/attached.ts";
import type { HostAnswer } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import { repairsHref } from "../links.ts";
import type { TableSpec } from "../table.ts";
import { summaryOf } from "./summary.ts";
import { duration } from "./time.ts";

export interface HostRow {
  readonly name: string;
  readonly vtep: string;
  readonly version: string;
  readonly networks: number;
  readonly endpoints: number;
  /** The newest revision of etcd that it says to have applied, and how many endpoints it has not. */
  readonly applied: number;
  readonly behind: number;
  /** `runs`: its agent keeps its claim on the name; `SAND's`: the agent says nothing of itself; `away`: neither. */
  readonly agent: "runs" | "SAND's" | "away";
  /** Since when its agent runs, in RFC 3339. */
  readonly since?: string;
  /** Its agent's answer: the hosts that it probes, those of them that do not answer, and what it has repaired. */
  readonly probed?: number;
  readonly unreached?: readonly string[];
  readonly mended?: number;
  /** Why its agent cannot be asked. */
  readonly error?: string;
}

/** The rows with what the agents say. */
export function withAgents(
  rows: readonly HostRow[],
  said: ReadonlyMap<string, HostAnswer>,
): readonly HostRow[] {
  if (!said.size) return rows;
  return rows.map((row) => {
    const says = said.get(row.name);
    if (!says) return row;
    const { error, reaches, mended } = says;
    if (error !== undefined) return { ...row, error };
    const unreached = [...reaches].flatMap(([host, answers]) => answers ? [] : host).sort();
    return { ...row, probed: reaches.size, unreached, mended };
  });
}

/** A row for each host that etcd has something of, by their names. @param now The time in ms since the epoch. */
export function hostRows(cluster: Cluster, now: number): HostRow[] {
  const found = new Map<string, HostState>();
  const of = (name: string) => {
    let state = found.get(name);
    if (!state) found.set(name, state = noHostState());
    return state;
  };
  for (const network of cluster.networks()) {
    if (network.kind === "overlay") summaryOf(cluster, network, now).hosts.addTo(of);
  }
  for (const name of cluster.claims.keys()) of(name);
  // Tables have them in this order, and lists that are in order are sorted at once.
  return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([name, state]): HostRow => {
    const host = hostTo(name, state, cluster.claims.get(name)), since = host.since?.seconds;
    return {
      name,
      vtep: host.vtep ?? "",
      version: host.version ?? "",
      networks: state.networks,
      endpoints: state.endpoints,
      applied: state.applied,
      behind: state.behind,
      agent: host.running ? "runs" : host.silent ? "SAND's" : "away",
      ...typeof since === "number" && { since: new Date(since * 1000).toISOString() },
    };
  });
}

/** The columns of the table of hosts. */
export function hostsTable(now: number): TableSpec<HostRow> {
  return {
    id: "",
    caption: "Hosts",
    sort: "name",
    none: "No host has something in an overlay network, and no agent runs.",
    columns: [
      { key: "name", title: "Host", text: ({ name }) => name },
      { key: "vtep", title: "VTEP", text: ({ vtep }) => vtep, look: "code" },
      {
        key: "agent",
        title: "Agent",
        text: ({ agent }) => agent,
        tone: ({ agent }) => agent === "away" ? "bad" : "good",
      },
      { key: "version", title: "Version", text: ({ version }) => version },
      {
        key: "since",
        title: "Runs for",
        text: ({ since }) => since && duration(Math.max(0, now - Date.parse(since))),
        order: ({ since }) => since,
      },
      { key: "networks", title: "Networks", text: ({ networks }) => networks, look: "number" },
      { key: "endpoints", title: "Endpoints", text: ({ endpoints }) => endpoints, look: "number" },
      {
        key: "applied",
        title: "Applied",
        text: ({ applied }) => applied || undefined,
        look: "number",
      },
      {
        key: "behind",
        title: "Behind by",
        text: ({ behind }) => behind,
        look: "number",
        tone: ({ behind }) => behind ? "warn" : undefined,
      },
      {
        key: "reaches",
        title: "Reaches",
        text: ({ probed, unreached = [], error }) =>
          error !== undefined
            ? "not asked"
            : probed === undefined
            ? undefined
            : `${probed - unreached.length} of ${probed}`,
        order: ({ unreached }) => unreached?.length,
        tone: ({ unreached }) => !unreached ? undefined : unreached.length ? "bad" : "good",
        isRare: true,
      },
      {
        key: "mended",
        title: "Mended",
        text: ({ mended }) => mended || undefined,
        href: ({ name }) => repairsHref(name),
        look: "number",
        isRare: true,
      },
    ],
  };
}
