/** Explains why one machine does not reach another: the steps of the path between them, as both hosts' agents report them. */
import { AgentClient } from "../../agent/client/client.ts";
import { shownEndpoint } from "../../agent/http/records.ts";
import type { Config } from "../../common/config.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import { readTls } from "../../common/tls.ts";
import { type Step, titleOf } from "../../explain/steps.ts";
import {
  type Agents,
  agentsAt,
  brokenIn,
  endsOf,
  explainPath,
  type Part,
  PATIENCE,
} from "../../explain/path.ts";
import { sorted } from "../../overlay_names/attached.ts";
import type { Cluster, OverlayNetwork } from "../cluster.ts";

/** How long what was found is given again where the same is asked, in ms: agents look at their packets for it. */
const KEPT = 2000;
/** The most that are looked at at a time. */
const MOST = 4;
/** The most machines that the form proposes. */
const MOST_PROPOSED = 1000;

export interface ExplainModel {
  /** The question, as far as it is complete. */
  readonly network: string;
  readonly a: string;
  readonly b: string;
  /** Undefined: not all of it is asked yet. */
  readonly found?: {
    readonly ok: boolean;
    readonly broken: readonly Broken[];
    readonly parts: readonly Part[];
  };
}

export type Broken = Step & { readonly about: string };

/** The choices of the form: overlay networks, and the machines of the one that is chosen. */
export interface Proposals {
  readonly networks: readonly { readonly key: string; readonly title: string }[];
  /** The key of the one that is chosen. */
  readonly network: string;
  readonly machines: readonly string[];
}

/** Asks agents for explanations, and keeps each answer for a short time. */
export class Explainer {
  readonly #answers = new Map<string, { readonly until: number; readonly parts: Promise<Part[]> }>();
  #running = 0;

  constructor(private readonly cluster: Cluster, private readonly config: Config) {}

  proposals(network: string): Proposals {
    const found = this.cluster.network(network);
    return {
      networks: this.cluster.networks().filter(({ kind }) => kind === "overlay").map(({ key, title }) => ({
        key,
        title,
      })),
      network: found?.key ?? "",
      machines: found?.kind !== "overlay"
        ? []
        : endpointsOf(found).slice(0, MOST_PROPOSED).map(titleOf).sort(),
    };
  }

  /** Throws Refusal "not-found", "invalid", "conflict", and "unavailable" while too much is asked. */
  async model(network: string, a: string, b: string): Promise<ExplainModel> {
    if (!network || !a || !b) return { network, a, b };
    const parts = await this.#parts(this.#network(network), a, b), broken = brokenIn(parts);
    return { network, a, b, found: { ok: broken.length === 0, broken, parts } };
  }

  #network(key: string): OverlayNetwork {
    const found = this.cluster.network(key);
    if (!found) throw new Refusal("not-found", `there is no network "${key}"`);
    if (found.kind === "overlay") return found;
    throw invalid(
      `network ${key} has no overlay: its machines are on a LAN, and no agent knows of the way between them`,
    );
  }

  #parts(network: OverlayNetwork, a: string, b: string): Promise<Part[]> {
    const now = performance.now(), key = JSON.stringify([network.id, a, b]);
    for (const [key, { until }] of this.#answers) if (until < now) this.#answers.delete(key);
    const kept = this.#answers.get(key);
    if (kept) return kept.parts;
    if (this.#running >= MOST) {
      throw new Refusal(
        "unavailable",
        `${MOST} ways are being looked at just now: try again in a few seconds`,
      );
    }
    this.#running++;
    const parts = this.#explain(network, a, b).finally(() => this.#running--);
    this.#answers.set(key, { until: now + KEPT, parts });
    return parts;
  }

  async #explain(network: OverlayNetwork, a: string, b: string): Promise<Part[]> {
    const { id, title: name } = network, all = endpointsOf(network), ends = endsOf(all, name, [a, b]);
    if (ends[0].found === ends[1].found) throw invalid(`${a} and ${b} are one machine: name two`);
    return await explainPath(await this.#agents(id), { network: id, name, ends, all });
  }

  /** The agent of this machine by its socket, where there is one that answers, and others by their APIs. */
  async #agents(network: string): Promise<Agents> {
    const { agent: { listen, tls, socket }, where } = this.config;
    const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
    const of = agentsAt(listen.port, tls && readTls(tls, fields, where));
    const own = new AgentClient({ address: { socket: socket.path }, timeoutMs: PATIENCE });
    const here = await own.absence(network, "").then(() => own, () => undefined);
    return { here, of };
  }
}

function endpointsOf({ space }: OverlayNetwork) {
  return sorted(space).map(({ record }) => shownEndpoint(record));
}
