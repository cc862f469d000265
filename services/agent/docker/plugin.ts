/** Starts the Docker plugin's server, and lets its calls wait until the agent is ready. */
import type { AgentConfig } from "../../common/config_agent.ts";
import type { Log } from "../../common/log.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { deadline } from "../../common/async.ts";
import { StoppedPluginFile } from "./stopped_plugin.ts";
import type { DockerApi } from "./api.ts";
import { addressesOf, EarlierAddresses, listenAddresses } from "./listen_addresses.ts";
import { type DockerServer, serveDocker } from "./server.ts";
import { writeSpec } from "./spec_file.ts";

/**
 * How long after the agent's start calls wait until it is ready, in ms. An engine that starts with the machine makes
 * one call for each container to be restarted, and leaves the container stopped when that call is refused. The time
 * is shorter than the limit of a call, so that the refusal can say what is missing.
 */
const STARTING = 8000;

/**
 * Serves the Docker plugin, and writes the file by which Docker finds it. Calls are accepted from the start; while
 * the agent is not ready they wait for {@link STARTING}, and are refused at once after that.
 *
 * @param docker Throws Refusal while the agent is not ready.
 * @param started Resolves when it is.
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
  const earlier = new EarlierAddresses(spec, directory), before = await earlier.read(https);
  const configured = hostConfigured ? listen.host : undefined;
  const addresses = await listenAddresses({
    hostname,
    port,
    configured,
    https,
    earlier: before,
    addressesOf,
  });
  const stopped = Promise.withResolvers<void>();
  // Either lets the calls go on that wait: to the agent, or to the refusal of one that stops.
  const waited = deadline(Promise.race([started, stopped.promise]), starting);
  const server = serveDocker(gated(() => waited.then(docker)), { addresses, tls, names: [hostname], log });
  // The address is saved before the file is overwritten, since a running engine knows the previous one.
  await earlier.keep(before, https).catch((error) =>
    log.warn(`the plugin address that Docker was told before cannot be saved: ${messageOf(error)}`)
  );
  await writeSpec(spec, { at: addresses.told, tls: files });
  const file = new StoppedPluginFile(spec, directory);
  await file.end().catch((error) => {
    throw new Refusal("invalid", `agent.docker.spec: ${messageOf(error)}`, { cause: error });
  });
  return {
    at: server.at,
    problem: () => server.problem(),
    async close() {
      stopped.resolve();
      await file.begin().catch((error) =>
        log.warn(
          `the file that tells Docker that the agent is stopped cannot be written: ${messageOf(error)}`,
        )
      );
      await server.close();
    },
  };
}

/** @param docker Resolves when the agent has started, or rejects with what is missing. */
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
    deleteEndpoint: async (dockerId, parent) => (await docker()).deleteEndpoint(dockerId, parent),
  };
}
