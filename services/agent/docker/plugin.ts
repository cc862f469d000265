import type { AgentConfig } from "../../common/config_agent.ts";
import type { Log } from "../../common/log.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { Away } from "./away.ts";
import type { DockerApi } from "./api.ts";
import { addressesOf, Earlier, placesOf } from "./places.ts";
import { type DockerServer, serveDocker } from "./server.ts";
import { writeSpec } from "./spec_file.ts";

/**
 * Serves Docker, and tells it where. Calls are answered from the start: what cannot be done yet is refused at once.
 *
 * @param docker Throws Refusal while there is nothing to answer from.
 */
export async function servePlugin(
  docker: () => DockerApi,
  { docker: { port, spec }, listen, hostConfigured, tls: files, hostname, socket }: AgentConfig,
  tls: TlsMaterial | undefined,
  log: Log,
): Promise<DockerServer> {
  const directory = socket.path.slice(0, socket.path.lastIndexOf("/")), https = tls !== undefined;
  const earlier = new Earlier(spec, directory), before = await earlier.read(https);
  const configured = hostConfigured ? listen.host : undefined;
  const places = await placesOf({ hostname, port, configured, https, earlier: before, addressesOf });
  const server = serveDocker(gated(docker), { places, tls, names: [hostname], log });
  // Kept before it is written over: an engine that runs knows what was there.
  await earlier.keep(before, https).catch((error) =>
    log.warn(`what Docker was told before cannot be kept: ${messageOf(error)}`)
  );
  await writeSpec(spec, { at: places.told, tls: files });
  const away = new Away(spec, directory);
  await away.end().catch((error) => {
    throw new Refusal("invalid", `agent.docker.spec: ${messageOf(error)}`, { cause: error });
  });
  return {
    at: server.at,
    problem: () => server.problem(),
    async close() {
      await away.begin().catch((error) =>
        log.warn(`Docker is not told that the agent stops: ${messageOf(error)}`)
      );
      await server.close();
    },
  };
}

function gated(docker: () => DockerApi): DockerApi {
  return {
    network: (id) => docker().network(id),
    claim: async (network, address) => await docker().claim(network, address),
    release: async (network, address) => await docker().release(network, address),
    addNetwork: async (dockerId, network) => await docker().addNetwork(dockerId, network),
    removeNetwork: async (dockerId) => await docker().removeNetwork(dockerId),
    createEndpoint: async (ids, wanted) => await docker().createEndpoint(ids, wanted),
    endpoint: (dockerId) => docker().endpoint(dockerId),
    join: async (dockerId, sandbox) => await docker().join(dockerId, sandbox),
    leave: async (dockerId) => await docker().leave(dockerId),
    deleteEndpoint: async (dockerId) => await docker().deleteEndpoint(dockerId),
  };
}
