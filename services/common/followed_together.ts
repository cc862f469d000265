/**
 * Presents several mirrors of one etcd as one, for a process that needs all of them. It is in sync when all of them
 * are, and has the newest of their revisions.
 */
import type { Followed } from "./health.ts";

/** Returns a view of the mirrors whose state is computed at each access. */
export function followedTogether(...mirrors: readonly Followed[]): Followed {
  const sum = (of: (state: Followed["state"]) => number) =>
    mirrors.reduce((total, { state }) => total + of(state), 0);
  return {
    get state() {
      const out = mirrors.map(({ state }) => state).filter(({ inSync }) => !inSync);
      const since = out.flatMap(({ outSince }) => outSince ?? []);
      return {
        inSync: out.length === 0,
        // One that follows little sees few revisions, while nothing that concerns it has happened since.
        revision: Math.max(...mirrors.map(({ state }) => state.revision)),
        outSince: since.length ? Math.min(...since) : undefined,
        outReason: out.find(({ outReason }) => outReason !== undefined)?.outReason,
        quarantined: new Map(mirrors.flatMap(({ state }) => [...state.quarantined])),
        missed: sum(({ missed }) => missed),
        relists: sum(({ relists }) => relists),
      };
    },
  };
}
