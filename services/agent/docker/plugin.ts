import type { AgentConfig } from "../../common/config_agent.ts";
import type { Log } from "../../common/log.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { deadline } from "../../common/async.ts";
import { Away } from "./away.ts";
import type { DockerApi } from "./api.ts";
import { addressesOf, Earlier, placesOf } from "./places.ts";
import { type DockerServer, serveDocker } from "./server.ts";
import { writeSpec } from "./spec_file.ts";

/**
 * How long after the agent's start calls wait for what they need, in ms. An engine that starts with the machine calls once
 * for each container to be restarted, and leaves the container stopped when that call is refused. Less than a call may
 * take, so that the refusal can say what is missing.
 */
const STARTING = 8000;

/**
 * Serves Docker, and tells it where. Calls are taken from the start. What cannot be done yet waits for {@link STARTING},
 * and is refused at once after that.
 *
 * @param docker Throws Refusal while there is nothing to answer from.
 * @param started Resolves when there is.
 */
export async function servePlugin(
  docker: () => DockerApi,
  started: Promise<void>,
  { docker: { port, spec }, listen, hostConfigured, tls: files, hostname, socket }: AgentConfig,
  tls: TlsMaterial | undefined,
  log: Log,
  starting = STARTING,
): Promise<DockerServer> {
  const directory = socket.path.slice(0, socket.path.lastIndexOf("/")), https = tls !== undefined;
  const earlier = new Earlier(spec, directory), before = await earlier.read(https);
  const configured = hostConfigured ? listen.host : undefined;
  const places = await placesOf({ hostname, port, configured, https, earlier: before, addressesOf });
  const stopped = Promise.withResolvers<void>();
  const waited = deadline(Promise.race([started, stopped.promise]), starting);
  const server = serveDocker(gated(() => waited.then(docker)), { places, tls, names: [hostname], log });
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
      stopped.resolve();
      await away.begin().catch((error) =>
        log.warn(`Docker is not told that the agent stops: ${messageOf(error)}`)
      );
      await server.close();
    },
  };
}

/** @param docker Resolves when the agent has started, or is rejected with what is missing. */
function gated(docker: () => Promise<DockerApi>): DockerApi {
  return {
    network: async (id) => (await docker()).network(id),
    claim: async (network, address) => (await docker()).claim(network, address),
    release: async (network, address) => (await docker()).release(network, address),
    addNetwork: async (dockerId, network) => (await docker()).addNetwork(dockerId, network),
    removeNetwork: async (dockerId) => (await docker()).removeNetwork(dockerId),
    createEndpoint: async (ids, wanted) => (await docker()).createEndpoint(ids, wanted),
    endpoint: async (dockerId) => (await docker()).endpoint(dockerId),
    join: async (dockerId, sandbox) => (await docker()).join(dockerId, sandbox),
    leave: async (dockerId) => (await docker()).leave(dockerId),
    deleteEndpoint: async (dockerId) => (await docker()).deleteEndpoint(dockerId),
  };
}
