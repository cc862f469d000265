/**
 * `strand attach --device` and `detach --device`: a device of this host becomes a port of an overlay network, or is
 * taken out of it.
 */
import type { AgentClient } from "../../services/agent/client/client.ts";
import type { Network, Port } from "../../services/agent/client/types.ts";
import { printable, Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { jsonText } from "../output.ts";
import type { Terminal } from "../terminal.ts";
import { shownName, waitingForAgent } from "./host_agent.ts";

interface DeviceOptions {
  readonly device: string;
  readonly leases?: number;
  readonly members?: string;
  readonly output: "table" | "json";
}

/** Options that are about one machine, of which many may be behind a device. */
const OF_MACHINES = ["name", "ip", "mac", "wait"] as const;

/** Makes a device of this host a port of a network, and prints what has been done. */
export async function attachDevice(
  terminal: Terminal,
  agent: AgentClient,
  network: Network,
  options: DeviceOptions & { readonly [option in typeof OF_MACHINES[number]]?: string },
): Promise<void> {
  const { device, output } = options, given = OF_MACHINES.find((name) => options[name] !== undefined);
  if (given !== undefined) {
    throw new UsageError(
      `--${given}: many machines may be behind a device; reserve names and addresses for their MACs with strand apply`,
    );
  }
  const { leases } = options;
  const port = { device, network_id: network.id, ...leases !== undefined && { leases } };
  const members = options.members?.split(",").map((member) => member.trim()).filter((member) =>
    member !== ""
  );
  const answer = await waitingForAgent(terminal, agent.attachPort({ ...port, ...members && { members } }));
  const action = !answer.existing ? "attached" : answer.updated ? "updated" : "unchanged";
  print(
    terminal,
    output,
    answer,
    `device ${device} ${action}: a port of ${shownName(network)}${staying(answer.port)}`,
  );
}

/** Why the device is among the host's still. */
function staying({ over }: Port): string {
  return over === undefined ? "" : `, by a macvlan over it: a ${over} cannot leave the host`;
}

/** Reads the value of `--leases`. @throws UsageError */
export function readLeases(text: string): number {
  const leases = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (leases >= 1) return leases;
  throw new UsageError(`--leases: "${text}" is not a number of machines, like 64`);
}

/** The network of the device may be gone: any name of it is taken then. */
export async function detachDevice(
  terminal: Terminal,
  agent: AgentClient,
  net: string,
  { device, output }: DeviceOptions,
): Promise<void> {
  const [ports, { networks }] = await waitingForAgent(
    terminal,
    Promise.all([agent.ports(), agent.networks()]),
  );
  const port = ports.find((port) => port.device === device);
  if (!port) throw new Refusal("not-found", `--device: ${device} is a port of no network on this host`);
  const network = (networks ?? []).find(({ id }) => id === port.network_id);
  const names = [port.network_id, network?.known_as, network?.name];
  if (network && !names.includes(net)) {
    throw new Refusal(
      "not-found",
      `--device: ${device} is a port of network ${shownName(network)}, not of ${net}`,
    );
  }
  const answer = await waitingForAgent(terminal, agent.detachPort(device));
  print(terminal, output, answer, `device ${device} detached`);
}

function print(terminal: Terminal, output: "table" | "json", answer: object, text: string): void {
  terminal.print(output === "json" ? jsonText(answer) : `${printable(text)}\n`);
}
