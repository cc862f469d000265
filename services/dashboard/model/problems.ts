/** Finds the problems of hosts, networks and names by what etcd has of them, and makes a table of problems. */
import { problems as storeProblems } from "../../nex/problems.ts";
import type { NexView } from "../../nex/view.ts";
import { hostHref, networkHref } from "../links.ts";
import type { TableSpec } from "../table.ts";
import type { HostRow } from "./hosts.ts";
import type { NetworkRow } from "./network_row.ts";
import { duration } from "./time.ts";
import type { Trouble } from "./trouble.ts";

/** A problem that is there now; `key` tells it from the others. */
export type Found = Omit<Trouble, "since"> & { readonly key: string };

/** The problems of hosts whose agent does not run, or has not applied everything. */
export function troublesOfHosts(
  hosts: readonly Pick<HostRow, "name" | "agent" | "behind" | "endpoints">[],
): Found[] {
  return hosts.flatMap(({ name, agent, behind, endpoints }): Found[] => {
    const where = `host ${name}`, href = hostHref(name);
    if (agent === "away" && endpoints > 0) {
      return [{
        kind: "away",
        where,
        href,
        what:
          `its agent does not run, or cannot reach etcd: ${endpoints} endpoints stay as they are, and learn of no change`,
        fix: `on ${name}: strand status agent`,
        key: `away ${name}`,
      }];
    }
    if (!behind || agent === "away") return [];
    return [{
      kind: "behind",
      where,
      href,
      what: `it has not applied ${behind} endpoints that are in etcd`,
      fix: `on ${name}: strand status agent`,
      key: `behind ${name}`,
    }];
  });
}

/** The problems of networks whose record is not right, or that have no address left. */
export function troublesOfNetworks(networks: readonly NetworkRow[]): Found[] {
  return networks.flatMap(({ name, problem, used, size }): Found[] => [
    ...problem === undefined ? [] : [{
      kind: "broken" as const,
      where: `network ${name}`,
      href: networkHref(name),
      what: problem,
      fix: "put its record in etcd right, or delete the network",
      key: `broken ${name}`,
    }],
    ...!size || (used ?? 0) < size ? [] : [{
      kind: "full" as const,
      where: `network ${name}`,
      href: networkHref(name),
      what: `no address is free: all ${size} of its range are in use`,
      fix:
        `give it a larger range with strand set network range4, or remove members: strand get members ${name}`,
      key: `full ${name}`,
    }],
  ]);
}

/** The problems of names and addresses that contradict each other. */
export function troublesOfNames(view: NexView): Found[] {
  return storeProblems(view).map((what) => ({
    kind: "names",
    where: "names and addresses",
    what,
    fix: "docs/TROUBLE.md has it by this sentence",
    key: what,
  }));
}

/** The columns of the table of problems. @param now The time in ms since the epoch. */
export function problemsTable(now: number): TableSpec<Trouble> {
  return {
    id: "",
    caption: "Problems",
    sort: "where",
    none: "Nothing is wrong.",
    columns: [
      { key: "where", title: "Where", text: ({ where }) => where, href: ({ href }) => href },
      { key: "what", title: "What is wrong", text: ({ what }) => what },
      { key: "fix", title: "What to do", text: ({ fix }) => fix },
      {
        key: "since",
        title: "Seen for",
        text: ({ since }) => duration(Math.max(0, now - Date.parse(since))),
        order: ({ since }) => since,
        isUnsearched: true,
      },
    ],
  };
}
