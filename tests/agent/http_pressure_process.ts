/** The agent's API, the Docker plugin and a status server as a process of their own, whose files can be limited. */
import { abortConnection } from "../../ffi/abort.ts";
import { serveDocker } from "../../services/agent/docker/server.ts";
import type { DockerApi } from "../../services/agent/docker/api.ts";
import { fakeApi, testServer } from "../../services/agent/http/testing.ts";
import { serveStatus } from "../../services/common/http_status.ts";
import { createLog } from "../../services/common/log.ts";
import { createMetrics } from "../../services/common/metrics.ts";

const [socket = ""] = Deno.args, listen = { host: "127.0.0.1", port: 0 };
const log = createLog("agent", { level: "warn", format: "text" });
const attachments = {} as never;
const api = await testServer(fakeApi(), {
  local: { path: socket, required: true, attachments, ports: attachments },
});
const addresses = { listen: [listen], otherwise: undefined, also: [], told: listen };
const docker = serveDocker({} as DockerApi, { addresses, tls: undefined, log });
const report = () => {
  const problems = [api.problem(), docker.problem()].filter((problem) => problem !== undefined);
  return { service: "agent", version: "1", ready: !problems.length, problems };
};
const metrics = createMetrics("agent", "1");
const status = serveStatus(listen, { report, metrics, log, abort: abortConnection });
console.log(JSON.stringify({ pid: Deno.pid, ports: [api.at.port, docker.at.port], status: status.at.port }));
