/** `strand explain NET A B`: asks the agents of both hosts what they have of the way between two endpoints, and says which step is broken. */
import { AgentClient } from "../../services/agent/client/client.ts";
import { agentAddress } from "../../services/agent/client/address.ts";
import type { Endpoint, Network } from "../../services/agent/client/types.ts";
import { addressesOf } from "../../services/agent/connect/forward.ts";
import { loadConfig } from "../../services/common/config.ts";
import { formatHostPort } from "../../services/common/host_port.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { readTls } from "../../services/common/tls.ts";
import { columns, jsonText } from "../output.ts";
import { withProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import {
  absentSteps,
  addressOf,
  claimSteps,
  type HostSays,
  type Step,
  titleOf,
  waySteps,
} from "./explain_steps.ts";
import type { AgentOptions } from "./host_agent.ts";

/** Hosts that are asked for what is no endpoint. */
const MOST_HOSTS = 16;
/** How long an agent may take, in ms. */
export const PATIENCE = 3500;

/** A part of the steps, with what it is about. */
interface Part {
  readonly about: string;
  readonly steps: readonly Step[];
}

/** An end as it was typed: the endpoint, or why there is none. */
export interface End {
  readonly wanted: string;
  readonly found: Endpoint | Refusal;
}

/** Prints the steps. Throws Refusal where one is broken. */
export async function explainWay(
  terminal: Terminal,
  agent: AgentClient,
  options: AgentOptions & { readonly output: "table" | "json" },
  { network, ends, all }: {
    readonly network: Network;
    readonly ends: readonly [End, End];
    readonly all: readonly Endpoint[];
  },
): Promise<void> {
  const name = network.known_as ?? network.name;
  const known = ends.flatMap(({ found }) => found instanceof Refusal ? [] : [found]);
  const absent = await Promise.all(ends.map(async ({ wanted, found }) => {
    if (!(found instanceof Refusal)) return [];
    const { absence } = await agent.absence(network.id, wanted);
    const full = await fullPorts(agent, options, {
      network: network.id,
      wanted,
      all,
      here: absence.hostname,
    });
    return absentSteps(wanted, messageOf(found), name, { ...absence, full });
  }));
  const parts: Part[] = [{
    about: `network ${name}`,
    steps: [...absent.flat(), ...claimSteps(name, known, all)],
  }];
  const [a, b] = known;
  if (a && b) {
    const work = bothSay(agent, options, network.id, [a, b]);
    const [forth, back] = await withProgress("asking the agents", terminal.screen, work);
    parts.push(
      { about: `${titleOf(a)} on ${a.hostname} to ${titleOf(b)}`, steps: waySteps(a, b, forth, back) },
      { about: `${titleOf(b)} on ${b.hostname} to ${titleOf(a)}`, steps: waySteps(b, a, back, forth) },
    );
  }
  terminal.print(options.output === "json" ? jsonText(parts) : parts.map(printed).join("\n"));
  const broken = parts.flatMap(({ about, steps }) =>
    steps.filter(({ holds }) => holds === false).map((step) => ({ about, ...step }))
  );
  const [first] = broken;
  if (first) {
    const more = broken.length > 1 ? `, and ${broken.length - 1} more` : "";
    throw new Refusal("forbidden", `${first.about}: ${first.what} is broken: ${first.evidence}${more}`);
  }
}

/** The ports of the network's hosts that have no more leases, a sentence each: an end may be behind one of them. */
async function fullPorts(
  agent: AgentClient,
  options: AgentOptions,
  { network, wanted, all, here }: {
    readonly network: string;
    readonly wanted: string;
    readonly all: readonly Endpoint[];
    readonly here: string;
  },
): Promise<string[]> {
  const hosts = new Map(all.map((one) => [one.hostname, one]));
  hosts.delete(here);
  const others = [...hosts.values()].slice(0, MOST_HOSTS).map((one) => agentsOf(one, options));
  const found = await Promise.all([[agent], ...others].map((agents) =>
    // An agent that does not answer knows of no port.
    Promise.any(agents.map((one) => one.absence(network, wanted))).catch(() => undefined)
  ));
  return found.flatMap((one) => one?.absence.full.map((port) => `${one.absence.hostname}: ${port}`) ?? []);
}

/** What the hosts of both endpoints say, which are asked at the same time: each sees what the other sends meanwhile. */
async function bothSay(
  agent: AgentClient,
  options: AgentOptions,
  network: string,
  [a, b]: readonly [Endpoint, Endpoint],
): Promise<[HostSays | string, HostSays | string]> {
  // Whatever is asked, the answer names the host.
  const { absence: { hostname: here } } = await agent.absence(network, "");
  const ask = async (one: AgentClient, from: Endpoint, to: Endpoint): Promise<HostSays> => {
    const [other, own] = await Promise.all([to, from].map((end) => one.way(network, addressOf(end))));
    if (!other || !own) throw new Error("no answer");
    return { toOther: other.way, toOwn: own.way };
  };
  const says = (from: Endpoint, to: Endpoint) => {
    const agents = from.hostname === here ? [agent] : agentsOf(from, options);
    return Promise.any(agents.map((one) => ask(one, from, to))).catch((error) =>
      messageOf(error instanceof AggregateError ? error.errors.at(-1) : error)
    );
  };
  return await Promise.all([says(a, b), says(b, a)]);
}

function printed({ about, steps }: Part): string {
  const rows = steps.map(({ holds, what, evidence }) => [
    `  ${holds === undefined ? "-" : holds ? "ok" : "BROKEN"}`,
    what,
    evidence,
  ]);
  const lines = columns(rows, "  ").split("\n").slice(0, -1);
  return `${about}\n${
    lines.map((line, i) => {
      const { holds, fix } = steps[i] ?? {};
      return holds === false && fix ? `${line}\n      → ${fix}\n` : `${line}\n`;
    }).join("")
  }`;
}

/** The API of another host's agent, at its name and at its VTEP, as this host's own is served: over HTTP or HTTPS. */
function agentsOf(
  { api_hostname: apiHostname, host_ip: ip, hostname }: Endpoint,
  { config: file }: AgentOptions,
): AgentClient[] {
  const { listen, tls: files } = loadConfig({ file }).agent;
  const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
  const tls = files && readTls(files, fields);
  return addressesOf({ hostname, apiHostname, ip }, listen.port).map((at) =>
    new AgentClient({
      address: agentAddress(`${tls ? "https" : "http"}://${formatHostPort(at)}`, tls),
      name: `the agent of ${hostname} at ${formatHostPort(at)}`,
      timeoutMs: PATIENCE,
    })
  );
}
