/** The matrix of which host reaches which other one over VXLAN, by the probes of their agents. */
import type { HostAnswer } from "../agents.ts";
import type { Found } from "./problems.ts";
import { hostHref } from "../links.ts";

/** The most hosts of which the matrix is drawn. */
const MOST_DRAWN = 40;

/** A row for each host: whether it reaches each other host; undefined: that is not known, or it is the same host. */
export interface Matrix {
  readonly hosts: readonly string[];
  readonly reached: readonly (readonly (boolean | undefined)[])[];
}

/** Undefined where too many hosts are known, or none has said anything. */
export function matrixOf(said: ReadonlyMap<string, HostAnswer>): Matrix | undefined {
  const hosts = [
    ...new Set([...said].flatMap(([from, { reaches }]) => reaches.size ? [from, ...reaches.keys()] : [])),
  ]
    .sort();
  if (!hosts.length || hosts.length > MOST_DRAWN) return undefined;
  return { hosts, reached: hosts.map((from) => hosts.map((to) => said.get(from)?.reaches.get(to))) };
}

/** The problems that agents report, once where several hosts have the same. @param known Sentences that are shown already. */
export function agentTroubles(said: ReadonlyMap<string, HostAnswer>, known: readonly string[]): Found[] {
  const kind = "agent" as const;
  const shown = new Set(known.map(alike));
  const all = [...said].flatMap(([host, { problems }]) =>
    problems.filter(({ what }) => !shown.has(alike(what))).map((problem) => ({ host, ...problem }))
  );
  return [...Map.groupBy(all, ({ what, fix }) => `${alike(what)} ${fix}`)].flatMap(([key, same]) => {
    const [first, ...others] = same, hosts = same.map(({ host }) => host);
    if (!first) return [];
    const { host, what, fix } = first;
    if (!others.length) {
      return [{ kind, where: `host ${host}`, href: hostHref(host), what, fix, key: `${host} ${key}` }];
    }
    const names = hosts.slice(0, 5).join(", ") + (hosts.length > 5 ? ` and ${hosts.length - 5} more` : "");
    return [{ kind, where: `${hosts.length} hosts`, href: "/hosts", what: `${names}: ${what}`, fix, key }];
  });
}

/** A sentence without its durations: how long something is so changes each time. */
function alike(sentence: string): string {
  return sentence.replace(/\b\d+ (ms|s|min|h|d)\b/g, "0 $1");
}
