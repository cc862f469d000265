/** `sand-agent-cli delete endpoints`: deletes all endpoints of a network by asking the agent of each host that has some. */
import { AgentRefusal } from "../../services/agent/client/errors.ts";
import type { Endpoint } from "../../services/agent/client/types.ts";
import { Refusal } from "../../services/common/refusal.ts";
import type { SandAgent } from "./agent.ts";

export interface EndpointDeletionOptions {
  /** True: where a host's agent cannot be reached, its endpoints are deleted without it. */
  readonly force?: boolean;
  readonly onDeleted: (id: string) => void;
}

/** Deletes an endpoint; false when the asked agent has no endpoint of that id. */
type Way = (id: string) => Promise<boolean>;

/**
 * Deletes every endpoint of a network. An agent deletes only its own host's, so each host's agent is asked, at the
 * address that its endpoints' records give. Endpoints that are gone by then are passed over.
 */
export async function deleteEndpoints(
  agent: SandAgent,
  network: string,
  options: EndpointDeletionOptions,
): Promise<void> {
  const { endpoints } = await agent.endpoints({ network_id: network });
  const ways = new Map<string, Way>();
  for (const endpoint of endpoints ?? []) {
    const { id, hostname } = endpoint;
    const known = ways.get(hostname);
    for (const way of known ? [known] : waysTo(endpoint, agent, options)) {
      if (!(await way(id))) continue;
      ways.set(hostname, way);
      options.onDeleted(id);
      break;
    }
  }
}

/** The ways to delete an endpoint, in the order in which they are tried. */
function waysTo(
  { hostname, host_ip, api_hostname }: Endpoint,
  agent: SandAgent,
  { force }: EndpointDeletionOptions,
): Way[] {
  const here: Way = (id) => remove(agent, id);
  const there: Way = async (id) => {
    try {
      return await remove(agent.at(api_hostname || host_ip), id);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (force) return false;
      const message =
        `endpoint ${id} is on ${hostname}: ${error.message}; if that host is gone, --force deletes it`;
      throw new Refusal("unavailable", message, { cause: error });
    }
  };
  const forced: Way = (id) => remove(agent, id, true);
  return force ? [here, there, forced] : [here, there];
}

async function remove(agent: SandAgent, id: string, force = false): Promise<boolean> {
  try {
    await agent.deleteEndpoint(id, { force });
    return true;
  } catch (error) {
    if (error instanceof AgentRefusal && error.status === 404) return false;
    throw error;
  }
}
