import assert from "node:assert/strict";
import type { AgentConfig } from "../../common/config_agent.ts";
import { formatHostPort } from "../../common/host_port.ts";
import { createLog } from "../../common/log.ts";
import { Refusal } from "../../common/refusal.ts";
import { network } from "../http/testing.ts";
import type { DockerApi } from "./api.ts";
import { servePlugin } from "./plugin.ts";

/** The plugin of an agent that is starting, and a call that needs what is not there yet. */
async function starting(waits?: number) {
  const directory = await Deno.makeTempDir(), started = Promise.withResolvers<void>();
  const config = {
    docker: { enabled: true, port: 0, spec: `${directory}/sand.json` },
    listen: { host: "", port: 0 },
    hostConfigured: false,
    tls: undefined,
    hostname: "h1",
    socket: { path: `${directory}/agent.sock` },
  } as unknown as AgentConfig;
  let there = false;
  const docker = () => {
    if (!there) throw new Refusal("unavailable", "etcd was not reached yet");
    return { network: () => network } as Partial<DockerApi> as DockerApi;
  };
  const log = createLog("agent", { level: "fatal", format: "text" });
  const plugin = await servePlugin(docker, started.promise, config, undefined, log, waits);
  const post = async (call: string, body: unknown) => {
    const url = `http://${formatHostPort(plugin.at)}/${call}`;
    const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    return await response.json();
  };
  return {
    start() {
      there = true;
      started.resolve();
    },
    plugin,
    activate: () => post("Plugin.Activate", {}),
    call: () => post("IpamDriver.RequestPool", { Options: { "sand-id": network.id } }),
    async [Symbol.asyncDispose]() {
      await plugin.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

Deno.test("a call of Docker's that comes while the agent starts is answered once it has started", async () => {
  await using agent = await starting();
  const answer = agent.call();
  // The first answer shows that the call before it was not refused at once.
  assert.deepEqual(await agent.activate(), { Implements: ["NetworkDriver", "IpamDriver"] });
  assert.equal(await Promise.race([answer, agent.activate().then(() => "waits")]), "waits");
  agent.start();
  assert.equal((await answer).PoolID, network.id);
});

Deno.test("a call of Docker's is refused when the agent takes long to start, and at once from then on", async () => {
  await using agent = await starting(50);
  assert.match((await agent.call()).Err, /etcd was not reached yet/);
  assert.match((await agent.call()).Err, /etcd was not reached yet/);
  agent.start();
  assert.equal((await agent.call()).PoolID, network.id);
});

Deno.test("a call of Docker's that waits for the agent's start is refused when the agent stops", async () => {
  await using agent = await starting();
  const answer = agent.call();
  await agent.activate();
  await agent.plugin.close();
  assert.match((await answer).Err, /etcd was not reached yet/);
});
