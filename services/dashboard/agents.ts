/** Asks the hosts' agents what they know: which other hosts they reach, what they have repaired, and their problems. */
import type { AgentClient } from "../agent/client/client.ts";
import type { Endpoint } from "../agent/client/types.ts";
import { shownEndpoint } from "../agent/http/records.ts";
import type { Config } from "../common/config.ts";
import { messageOf } from "../common/refusal.ts";
import type { Problem } from "../common/report.ts";
import { readTls } from "../common/tls.ts";
import { agentsAt } from "../explain/path.ts";
import type { Cluster } from "./cluster.ts";
import { summaryOf } from "./model/summary.ts";

/** How old what they said may be when a page is looked at, before they are asked again, in ms. */
const EVERY = 10_000;
/** How long one may take, in ms, and how many are asked at a time. */
const PATIENCE = 3000, AT_A_TIME = 16;
/** The most hosts that are asked at all: of more, only etcd is shown. */
export const MOST_POLLED = 200;

export interface HostAnswer {
  /** Why it could not be asked; absent where it was. */
  readonly error?: string;
  /** For each host that it probes, whether that answers over VXLAN. */
  readonly reaches: ReadonlyMap<string, boolean>;
  /** How many changes by other programs it has repaired since it was started. */
  readonly mended: number;
  readonly problems: readonly Problem[];
}

/** The last answers of all hosts' agents, which are asked again when they are older than a few seconds. */
export class HostAgents {
  #said: ReadonlyMap<string, HostAnswer> = new Map();
  #isPolling = false;
  #at = -Infinity;

  /** @param told Called when they say something else than before. */
  constructor(
    private readonly cluster: Cluster,
    private readonly config: Config,
    private readonly told: () => void,
  ) {}

  /** Their last answers, by host: a reader does not wait for agents that do not answer, and is told of news. */
  get said(): ReadonlyMap<string, HostAnswer> {
    if (!this.#isPolling && performance.now() - this.#at > EVERY) {
      this.#isPolling = true;
      void this.#poll().finally(() => {
        this.#isPolling = false;
        this.#at = performance.now();
      });
    }
    return this.#said;
  }

  async #poll(): Promise<void> {
    const hosts = [...hostsOf(this.cluster)], said = new Map<string, HostAnswer>();
    if (hosts.length <= MOST_POLLED) {
      const { agent: { listen, tls }, where } = this.config;
      const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
      try {
        const of = agentsAt(listen.port, tls && readTls(tls, fields, where));
        const next = hosts.values();
        await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
          for (const [name, endpoint] of next) said.set(name, await pollHost(of(endpoint)));
        }));
      } catch (error) {
        for (const [name] of hosts) said.set(name, nothing(error));
      }
    }
    const before = textOf(this.#said);
    this.#said = said;
    if (textOf(said) !== before) this.told();
  }
}

/** An endpoint of each host, by which its agent is found. */
function hostsOf(cluster: Cluster): Map<string, Endpoint> {
  const found = new Map<string, Endpoint>();
  for (const network of cluster.networks()) {
    if (network.kind !== "overlay") continue;
    for (const [host, { endpoints }] of summaryOf(cluster, network, Date.now()).hosts) {
      if (!endpoints || found.has(host)) continue;
      for (const { record } of network.space.endpointsOn(host)) {
        found.set(host, shownEndpoint(record));
        break;
      }
      if (found.size > MOST_POLLED) return found;
    }
  }
  return found;
}

async function pollHost(agents: readonly AgentClient[]): Promise<HostAnswer> {
  const timeoutMs = PATIENCE;
  try {
    return await Promise.any(agents.map(async (agent): Promise<HostAnswer> => {
      const [metrics, { problems }] = await Promise.all([
        agent.request({ method: "GET", path: "/metrics", timeoutMs }),
        agent.readiness({ timeoutMs }),
      ]);
      return { ...readMetrics(metrics), problems };
    }));
  } catch (error) {
    return nothing(error instanceof AggregateError ? error.errors.at(-1) : error);
  }
}

function nothing(error: unknown): HostAnswer {
  return { error: messageOf(error), reaches: new Map(), mended: 0, problems: [] };
}

/** Reads what is wanted of an agent's metrics, in Prometheus' text format. */
export function readMetrics(text: string): Pick<HostAnswer, "reaches" | "mended"> {
  const reaches = new Map<string, boolean>();
  let mended = 0;
  for (const line of text.split("\n")) {
    const peer = /^agent_peer_reachable\{peer="((?:[^"\\]|\\.)*)"\} ([01])$/.exec(line);
    if (peer) {
      reaches.set((peer[1] ?? "").replace(/\\(.)/g, (_, one) => one === "n" ? "\n" : one), peer[2] === "1");
    }
    const drift = /^agent_drift_repaired_total(?:\{[^}]*\})? (\d+)$/.exec(line);
    if (drift) mended += Number(drift[1]);
  }
  return { reaches, mended };
}

function textOf(said: ReadonlyMap<string, HostAnswer>): string {
  return JSON.stringify(
    [...said].map(([name, one]) => [
      name,
      one.error,
      [...one.reaches],
      one.mended,
      // Their sentences have times in them.
      one.problems.map(({ fix }) => fix),
    ]).sort(),
  );
}
