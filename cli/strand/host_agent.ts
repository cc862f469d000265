/**
 * The client of this host's agent for `strand attach` and `detach`. It finds the agent's socket in the configuration,
 * and names options of the command in refusals.
 */
import { Option } from "commander";
import type { Command } from "commander";
import { agentAddress } from "../../services/agent/client/address.ts";
import { AgentClient } from "../../services/agent/client/client.ts";
import { AgentRefusal, type AgentUnavailable } from "../../services/agent/client/errors.ts";
import type { Network } from "../../services/agent/client/types.ts";
import { closest } from "../../services/common/closest.ts";
import { loadConfig } from "../../services/common/config.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { activeTraceparent } from "../../services/common/tracing.ts";
import { version } from "../../services/common/version.ts";
import { withProgress } from "../progress.ts";
import { explained } from "../sand/explain.ts";
import { certificateTrouble, readClientTls, type TlsOptions } from "../sand/tls.ts";
import type { Terminal } from "../terminal.ts";

export interface HostAgentOptions extends TlsOptions {
  /** A URL; undefined: the socket that the configuration names. */
  readonly agent?: string;
  readonly config?: string;
}

/** Adds the options that say which agent is asked, and how. */
export function withAgentOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--agent <url>", "the host's agent, like unix:/run/strand/agent.sock (by agent.socket)"),
    )
    .addOption(new Option("--config <file>", "the configuration file (/etc/nex/nex.yml, if it exists)"));
}

/** Opens this host's agent; nothing is sent yet. @param timeoutMs of an answer (30,000). @throws Refusal */
export function openHostAgent(options: HostAgentOptions, timeoutMs?: number): AgentClient {
  const url = options.agent ?? `unix:${encodeURI(loadConfig({ file: options.config }).agent.socket.path)}`;
  let tls: ReturnType<typeof readClientTls> | undefined;
  let address: ReturnType<typeof agentAddress>;
  try {
    if (url.startsWith("https:")) tls = readClientTls(options);
    address = agentAddress(url, tls);
    if ("socket" in address && !address.socket.startsWith("/")) {
      throw new Refusal("invalid", `"${url}" has no absolute path, like unix:/run/strand/agent.sock`);
    }
  } catch (error) {
    throw new Refusal("invalid", `--agent: ${messageOf(error)}`, { cause: error });
  }
  const name = `the agent at ${url.replace(/^unix:/, "")}`;
  return new AgentClient({
    address,
    name,
    userAgent: `strand/${version}`,
    traceparent: activeTraceparent,
    ...timeoutMs !== undefined && { timeoutMs },
    explain: (error) => error instanceof AgentRefusal ? refused(error) : unreachable(name, error, tls?.cert),
  });
}

/** Options by the fields of the API that they set. */
const optionOf: Readonly<Record<string, string>> = {
  "activate_params.ns_handle_path": "--ns",
  ns_handle_path: "--ns",
  netns: "--ns",
  ipv4_address: "--ip",
  mac_address: "--mac",
  name: "--name",
  device: "--device",
  members: "--members",
  wait: "--wait",
};

function refused(error: AgentRefusal): Refusal {
  const [, field = "", rest] = /^([\w.]+): (.*)$/s.exec(error.message) ?? [];
  const option = optionOf[field];
  return new Refusal("forbidden", option ? `${option}: ${rest}` : error.message, { cause: error });
}

function unreachable(name: string, error: AgentUnavailable, certificate: Uint8Array | undefined): Refusal {
  if (error.why === "late") {
    return new Refusal("unavailable", `${error.message}: see "strand status agent", and its log`, {
      cause: error,
    });
  }
  if (error.why === "foreign") return new Refusal("unavailable", error.message, { cause: error });
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(messageOf(cause));
  const details = causes.join(": "),
    start = 'start it with "strand agent" on this host, or name its socket or URL with --agent';
  if (/permission denied|EACCES/i.test(details)) {
    return new Refusal("forbidden", `${name} is for root alone: run this command as root`, { cause: error });
  }
  if (/no such file|ENOENT/i.test(details)) {
    return new Refusal("unavailable", `${name} cannot be reached: there is no such socket; ${start}`, {
      cause: error,
    });
  }
  return explained(error.cause, {
    name,
    absent: start,
    authority: "an authority in --ca-file",
    closed: certificate && certificateTrouble(certificate),
  });
}

/**
 * Finds an overlay network by the name that commands have for it, by its id, or by the name that it has among SAND's.
 * @throws Refusal "not-found", and "conflict" where several have the name
 */
export async function findOverlay(agent: AgentClient, wanted: string): Promise<Network> {
  const list = async () => (await agent.networks()).networks ?? [];
  let networks = await list();
  if (!networks.some(({ name, known_as, id }) => [name, known_as, id].includes(wanted))) {
    // Asked for a name that it does not know, the agent asks etcd, and has learnt then what another host has just made.
    await agent.networks({ name: wanted });
    networks = await list();
  }
  const exact = networks.find(({ known_as, id }) => known_as === wanted || id === wanted.toLowerCase());
  if (exact) return exact;
  const [found, ...others] = networks.filter(({ name }) => name === wanted);
  if (found && others.length) {
    const ids = [found, ...others].map(({ id }) => id).join(", ");
    throw new Refusal(
      "conflict",
      `${networks.length} networks are called ${wanted}: name one by its id, ${ids}`,
    );
  }
  if (found) return found;
  const known = networks.map(({ known_as, name }) => known_as ?? name), meant = closest(wanted, known);
  const hint = meant !== undefined
    ? `; did you mean "${meant}"?`
    : known.length && known.length <= 8
    ? `; known are ${known.sort().join(", ")}`
    : "";
  throw new Refusal("not-found", `there is no overlay network "${wanted}"${hint}`);
}

/** The result of a request to the agent; a terminal sees that it is waited for. */
export function waitingForAgent<T>(terminal: Terminal, request: Promise<T>): Promise<T> {
  return withProgress("waiting for the agent", terminal.screen, request);
}

/** The name that commands have for a network; without one, the name in its record. */
export function shownName({ known_as, name }: Network): string {
  return known_as ?? name;
}
