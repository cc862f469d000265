/** Finds hosts that have not applied a network's changes for a long time, by the revisions that they publish. */
import type { Context } from "../context.ts";
import type { Workers } from "./networks.ts";

/** How long a host may take to apply what is in etcd, in ms, before that is reported as a problem. */
const PATIENCE = 10_000;

/** A host that has not applied what others have. */
export interface LaggingHost {
  readonly hostname: string;
  /** Names of networks. */
  readonly networks: readonly string[];
  /** Milliseconds. */
  readonly behindFor: number;
}

interface State {
  readonly since: number;
  readonly applied: number;
}

/** Finds hosts that lag behind in applying changes of networks which this host also has. */
export class LaggingHosts {
  /** By network and host, the time since which it is behind, and the revision that it had applied then. */
  #behind = new Map<string, State>();

  constructor(private readonly context: Context, private readonly workers: Workers) {}

  /** Compares again; called periodically. @param now milliseconds of a monotonic clock */
  check(now: number): LaggingHost[] {
    const { view } = this.context;
    const behind = new Map<string, State>(), late = new Map<string, { networks: string[]; since: number }>();
    for (const { id, revision } of this.workers.all()) {
      const space = view.space(id);
      for (const hostname of space.hostsBehind(revision)) {
        const key = `${id}/${hostname}`, applied = space.applied.get(hostname) ?? 0;
        const before = this.#behind.get(key);
        // A host that makes progress is slow, not stuck.
        const state = before?.applied === applied ? before : { since: now, applied };
        behind.set(key, state);
        if (now - state.since < PATIENCE) continue;
        const entry = late.get(hostname) ?? { networks: [], since: state.since };
        entry.networks.push(view.network(id)?.name ?? id);
        late.set(hostname, { ...entry, since: Math.min(entry.since, state.since) });
      }
    }
    this.#behind = behind;
    return [...late].map(([hostname, { networks, since }]) => ({
      hostname,
      networks,
      behindFor: now - since,
    }));
  }
}
