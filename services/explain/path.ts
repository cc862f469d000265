/** Asks the agents of two endpoints' hosts about the path between them, for `strand explain` and the dashboard. */
import { AgentClient } from "../agent/client/client.ts";
import { agentAddress } from "../agent/client/address.ts";
import type { Absence, Endpoint } from "../agent/client/types.ts";
import { addressesOf } from "../agent/connect/forward.ts";
import { closest } from "../common/closest.ts";
import { formatHostPort } from "../common/host_port.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import type { TlsContents } from "../common/tls_contents.ts";
import {
  absentSteps,
  addressOf,
  claimSteps,
  type HostEvidence,
  pathSteps,
  type Step,
  titleOf,
} from "./steps.ts";

/** Hosts that are asked for what is no endpoint. */
const MOST_HOSTS = 16;
/** How long an agent may take, in ms. */
export const PATIENCE = 6000;

/** A part of the steps, with what it is about. */
export interface Part {
  readonly about: string;
  readonly steps: readonly Step[];
}

/** An end as it was typed: the endpoint, or why there is none. */
export interface ExplainedEnd {
  readonly wanted: string;
  readonly found: Endpoint | Refusal;
}

/** The network by its id and by what it is called, both ends, and all endpoints that it has. */
export interface ExplainRequest {
  readonly network: string;
  readonly name: string;
  readonly ends: readonly [ExplainedEnd, ExplainedEnd];
  readonly all: readonly Endpoint[];
}

/** The agents that are asked. */
export interface Agents {
  /** The one of this host, at its own socket; undefined: there is none that may be asked. */
  readonly here: AgentClient | undefined;
  /** The API of the agent of an endpoint's host, at each address that it may have. */
  of(endpoint: Endpoint): readonly AgentClient[];
}

/**
 * The agents of other hosts, at their names and VTEPs.
 *
 * @param tls Undefined: their APIs are served without.
 * @param timeoutMs How long an answer may take.
 */
export function agentsAt(port: number, tls: TlsContents | undefined, timeoutMs = PATIENCE): Agents["of"] {
  return ({ api_hostname: apiHostname, host_ip: ip, hostname }) =>
    addressesOf({ hostname, apiHostname, ip }, port).map((at) =>
      new AgentClient({
        address: agentAddress(`${tls ? "https" : "http"}://${formatHostPort(at)}`, tls),
        name: `the agent of ${hostname} at ${formatHostPort(at)}`,
        timeoutMs,
      })
    );
}

/** The steps, in parts. Nothing is changed. */
export async function explainPath(agents: Agents, question: ExplainRequest): Promise<Part[]> {
  const { ends, name, all } = question;
  const known = ends.flatMap(({ found }) => found instanceof Refusal ? [] : [found]), [a, b] = known;
  const absent = ends.map(async ({ wanted, found }) =>
    found instanceof Refusal
      ? absentSteps(wanted, messageOf(found), name, await absenceOf(agents, question, wanted))
      : []
  );
  const parts = [{
    about: `network ${name}`,
    steps: [...(await Promise.all(absent)).flat(), ...claimSteps(name, known, all)],
  }];
  if (!a || !b) return parts;
  const [forth, back] = await bothSay(agents, question.network, [a, b]);
  return [
    ...parts,
    { about: `${titleOf(a)} on ${a.hostname} to ${titleOf(b)}`, steps: pathSteps(a, b, forth, back) },
    { about: `${titleOf(b)} on ${b.hostname} to ${titleOf(a)}`, steps: pathSteps(b, a, back, forth) },
  ];
}

/** The broken steps, each with the part that it belongs to. */
export function brokenIn(parts: readonly Part[]): (Step & { readonly about: string })[] {
  return parts.flatMap(({ about, steps }) =>
    steps.filter(({ holds }) => holds === false).map((step) => ({ about, ...step }))
  );
}

/**
 * The endpoint with a name or an address.
 *
 * @param network The name of its network, for errors.
 * @throws Refusal "not-found", and "conflict" where several have it
 */
export function endpointNamed(endpoints: readonly Endpoint[], network: string, wanted: string): Endpoint {
  const label = wanted.toLowerCase();
  const found = endpoints.filter((endpoint) => endpoint.name === label || addressOf(endpoint) === label);
  if (found.length) return theOnly(found, network, `"${wanted}"`);
  const meant = closest(label, endpoints.flatMap(({ name }) => name ?? []));
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  throw new Refusal("not-found", `network ${network} has no endpoint "${wanted}"${hint}`);
}

/** The only endpoint that fits. @param what Its description in errors. @throws Refusal "not-found" and "conflict" */
export function theOnly(found: readonly Endpoint[], network: string, what: string): Endpoint {
  const [endpoint, ...others] = found;
  if (!endpoint) throw new Refusal("not-found", `network ${network} has no endpoint ${what}`);
  if (!others.length) return endpoint;
  const each = found.map((one) => `${addressOf(one)} on ${one.hostname}`).join(", ");
  throw new Refusal("conflict", `network ${network} has several endpoints ${what}: name one of ${each}`);
}

/** Finds both ends among the endpoints. Throws Refusal "conflict" where several fit. */
export function endsOf(
  all: readonly Endpoint[],
  network: string,
  wanted: readonly [string, string],
): readonly [ExplainedEnd, ExplainedEnd] {
  const end = (wanted: string): ExplainedEnd => {
    try {
      return { wanted, found: endpointNamed(all, network, wanted) };
    } catch (error) {
      if (error instanceof Refusal && error.code === "not-found") return { wanted, found: error };
      throw error;
    }
  };
  return [end(wanted[0]), end(wanted[1])];
}

/** The hosts' knowledge of an end that is no endpoint; it may be behind one of their ports that have no more leases. */
async function absenceOf(
  { here, of }: Agents,
  { network, all }: ExplainRequest,
  wanted: string,
): Promise<Absence> {
  const own = await here?.absence(network, wanted), hosts = new Map(all.map((one) => [one.hostname, one]));
  if (own) hosts.delete(own.absence.hostname);
  const others = [...hosts.values()].slice(0, MOST_HOSTS).map((one) =>
    // An agent that does not answer knows of no port.
    Promise.any(of(one).map((agent) => agent.absence(network, wanted))).catch(() => undefined)
  );
  const said = [own, ...await Promise.all(others)].flatMap((one) => one?.absence ?? []);
  const full = said.flatMap(({ full, hostname }) => full.map((port) => `${hostname}: ${port}`));
  return { ...said[0] ?? { hostname: "", reserved: false, former: false }, full };
}

/** The answers of both endpoints' hosts, which are asked at the same time, so that each sees what the other sends. */
async function bothSay(
  { here, of }: Agents,
  network: string,
  [a, b]: readonly [Endpoint, Endpoint],
): Promise<[HostEvidence | string, HostEvidence | string]> {
  // Whatever is asked, the answer names the host.
  const own = await here?.absence(network, "");
  const requestEvidence = async (agent: AgentClient, from: Endpoint, to: Endpoint): Promise<HostEvidence> => {
    const [other, own] = await Promise.all([to, from].map((end) => agent.way(network, addressOf(end))));
    if (!other || !own) throw new Error("no answer");
    return { toOther: other.way, toOwn: own.way };
  };
  const says = (from: Endpoint, to: Endpoint) => {
    const agents = here && from.hostname === own?.absence.hostname ? [here] : of(from);
    return Promise.any(agents.map((agent) => requestEvidence(agent, from, to))).catch((error) =>
      messageOf(error instanceof AggregateError ? error.errors.at(-1) : error)
    );
  };
  return await Promise.all([says(a, b), says(b, a)]);
}
