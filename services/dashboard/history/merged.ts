/** Events as a table shows them: what happened to a machine in one revision is one row. */
import type { Kept } from "./ring.ts";

/** A row: one event, or several of one machine at one revision. */
export interface Row {
  readonly revision: number;
  readonly network: string;
  readonly machine: string;
  readonly what: string;
  readonly by: string;
  /** When it happened, in ms since the epoch, as this process has seen it or by the record itself. */
  readonly at?: number;
  /** The source of that time. */
  readonly source?: "record" | "seen";
  /** How many renewals of a lease it stands for. */
  readonly times?: number;
  /** The first later time that is known, where nothing says when it happened. */
  readonly before?: number;
}

/** @param events The newest first. @param before The first later time that is known of what comes first, in ms since the epoch. */
export function merged(events: readonly Kept[], before: (revision: number) => number): Row[] {
  const groups = Map.groupBy(
    events,
    ({ revision, network, machine }) => JSON.stringify([revision, network, machine]),
  );
  return [...groups.values()].map((same) => rowOf(same, before));
}

function rowOf(events: readonly Kept[], before: (revision: number) => number): Row {
  const left = events.find(({ what }) => what === "left"), came = events.find(({ what }) => what === "came");
  const isMove = left?.host !== undefined && came?.host !== undefined;
  const texts = isMove
    ? [
      left.host === came.host
        ? came.text.replace(/^came to/, "was made again on")
        : `moved from ${left.host} to ${came.text.replace(/^came to /, "")}`,
      ...events.filter((event) => event !== left && event !== came).map(({ text }) => text),
    ]
    : events.map(({ text, times }) => times === undefined ? text : `${text}, ${times} times in a row`);
  const [{ revision = 0, network = "", machine = "" } = {}] = events;
  const seen = events.find((event) => event.seen !== undefined)?.seen;
  const time = events.find((event) => event.time !== undefined)?.time,
    times = events.find((e) => e.times)?.times;
  const source = seen !== undefined ? "seen" as const : time !== undefined ? "record" as const : undefined;
  const at = seen ?? time, until = at === undefined ? before(revision) : undefined;
  return {
    revision,
    network,
    machine,
    what: texts.join("; "),
    by: [...new Set((isMove ? [came] : events).flatMap(({ by }) => by ?? []))].join(", "),
    ...at !== undefined && { at },
    ...source && { source },
    ...times !== undefined && { times },
    ...until !== undefined && { before: until },
  };
}
