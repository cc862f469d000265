/** A problem as the dashboard lists it, with what it concerns and what to do, and many of one kind as one. */

/** The kinds of problems: of each there may be many at a time. */
export const TROUBLE_KINDS = ["service", "away", "behind", "agent", "broken", "full", "names"] as const;
export type TroubleKind = typeof TROUBLE_KINDS[number];

/** A problem of one part of the system, as the page of health lists it. */
export interface Trouble {
  readonly kind: TroubleKind;
  /** The part that it concerns, like `etcd`, `host host1` or `network blue`. */
  readonly where: string;
  readonly what: string;
  readonly fix: string;
  /** The page that shows it. */
  readonly href?: string;
  /** Since when this dashboard has seen it, in RFC 3339. */
  readonly since: string;
}

/** Many problems of one kind as one; `since` is that of the oldest. */
export interface GroupedTrouble extends Trouble {
  readonly count: number;
  /** The names of the first hosts or networks that they concern. */
  readonly first: readonly string[];
}

/** As many of one kind are listed one by one; of more the first ones are named. */
const FEW = 10;

const hosts = (count: string) => `${count} hosts`, networks = (count: string) => `${count} networks`;
/** The texts for many of a kind: where they are, what is wrong, and what to do. */
const many: Readonly<
  Record<TroubleKind, readonly [where: (count: string) => string, what: string, fix: string]>
> = {
  service: [
    (count) => `${count} problems of services`,
    "services say what is wrong with them",
    "what each of them says",
  ],
  away: [
    hosts,
    "their agents do not run, or cannot reach etcd: their endpoints stay as they are, and learn of no change",
    "on each of them: strand status agent",
  ],
  behind: [hosts, "they have not applied endpoints that are in etcd", "on each of them: strand status agent"],
  agent: [
    (count) => `${count} problems of hosts`,
    "their agents say what is wrong there",
    "what each of them says",
  ],
  broken: [
    networks,
    "there is something wrong with their records",
    "put each record in etcd right, or delete the network",
  ],
  full: [
    networks,
    "no address of their ranges is free",
    "give each a larger range with strand set network range4, or remove members",
  ],
  names: [
    (count) => `${count} problems of names and addresses`,
    "the records in etcd contradict each other",
    "docs/TROUBLE.md has each by its sentence",
  ],
};

/** The page with all problems, or those of one kind. */
export function problemsHref(kind?: TroubleKind): string {
  return kind === undefined ? "/problems" : `/problems?kind=${kind}`;
}

/** The problems with those of a kind as one where there are many of them, at the place of the first. */
export function grouped(troubles: readonly Trouble[]): (Trouble | GroupedTrouble)[] {
  return [...Map.groupBy(troubles, ({ kind }) => kind)].flatMap(
    ([kind, same]): (Trouble | GroupedTrouble)[] => {
      if (same.length <= FEW) return same;
      const [where, what, fix] = many[kind], count = same.length;
      const first = same.map(nameOf).sort().slice(0, FEW);
      const since = same.reduce((oldest, { since }) => since < oldest ? since : oldest, same[0]?.since ?? "");
      return [{
        kind,
        where: where(count.toLocaleString("en")),
        what: `${first.join(", ")} and ${(count - FEW).toLocaleString("en")} more: ${what}`,
        fix,
        href: problemsHref(kind),
        since,
        count,
        first,
      }];
    },
  );
}

/** The host or network that a problem concerns; where that would be the same for all, what is wrong. */
function nameOf({ kind, where, what }: Trouble): string {
  return kind === "names" ? what : where.replace(/^(host|network) /, "");
}
