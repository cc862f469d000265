/** Serves /ports, at the Unix socket only: devices of this host as ports of networks. */
import { z } from "zod";
import type { PortRecord, PortsApi } from "../api.ts";
import { type Answer, json } from "./answers.ts";
import { read, uuid } from "./requests.ts";

/** The most leases that a port may have: as many as the largest range has addresses. */
const MOST = 0xffff;

export const newPort = z.object({
  device: z.string().describe("The name of a device of the agent's host, like tap0."),
  network_id: z.string().describe("The id of the network, a UUID."),
  leases: z.int().min(1).max(MOST).optional().describe(
    "How many machines behind it may have a lease at a time. Absent: 64, or what was said before.",
  ),
  members: z.array(z.string()).max(MOST).optional().describe(
    "Members with fixed addresses that are behind it, by name or MAC. Absent: those of before.",
  ),
});

const shown = ({ device, network, leases, members = [] }: PortRecord, over?: string) => ({
  device,
  network_id: network,
  ...over === undefined ? {} : { over },
  ...leases === undefined ? {} : { leases },
  ...members.length ? { members } : {},
});

/** The handlers of /ports, by method. */
export const portMethods = {
  GET: (ports) =>
    Promise.resolve(json(200, { ports: ports.ports().map((port) => shown(port, ports.over(port.device))) })),
  async POST(ports, body) {
    const { network_id, ...rest } = read(newPort, body);
    const { port, existing, updated } = await ports.attachPort({
      ...rest,
      network: uuid(network_id, "network_id"),
    });
    return json(existing ? 200 : 201, { port: shown(port, ports.over(port.device)), existing, updated });
  },
} satisfies Readonly<Record<string, (ports: PortsApi, body: Uint8Array) => Promise<Answer>>>;

/** Answers DELETE /ports/DEVICE. */
export async function detached(ports: PortsApi, device: string): Promise<Answer> {
  return json(200, { port: shown(await ports.detachPort(device)) });
}
