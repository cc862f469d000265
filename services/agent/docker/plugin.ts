import type { AgentConfig } from "../../common/config_agent.ts";
import type { Log } from "../../common/log.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { Away } from "./away.ts";
import type { DockerApi } from "./api.ts";
import { type DockerServer, serveDocker } from "./server.ts";
import { writeSpec } from "./spec_file.ts";

/**
 * Serves Docker, and tells it where. Calls are answered from the start: what cannot be done yet is refused at once.
 *
 * @param docker Throws Refusal while there is nothing to answer from.
 */
export async function servePlugin(
  docker: () => DockerApi,
  { docker: { port, spec }, listen, tls: files, hostname, socket }: AgentConfig,
  tls: TlsMaterial | undefined,
  log: Log,
): Promise<DockerServer> {
  const server = await serveDocker(gated(docker), { listen: { ...listen, port }, tls, log });
  // The certificate is for the name; without one, the address that is listened on is always right.
  const everywhere = listen.host === "0.0.0.0" || listen.host === "::";
  const host = tls || everywhere ? hostname : listen.host;
  await writeSpec(spec, { at: { host, port: server.at.port }, tls: files });
  const away = new Away(spec, socket.path.slice(0, socket.path.lastIndexOf("/")));
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
