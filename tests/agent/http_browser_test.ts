/** Requests that a browser sends for pages of other sites, made with curl: the agent's API refuses them. */
import assert from "node:assert/strict";
import { serveDocker } from "../../services/agent/docker/server.ts";
import type { DockerApi } from "../../services/agent/docker/api.ts";
import { fakeApi, keptLog, network, testServer } from "../../services/agent/http/testing.ts";
import { curl } from "../lab/curl.ts";

Deno.test("curl, as a browser with a page of another site or a rebinding name: 403 and nothing is done; as itself: 201", async () => {
  let made = 0;
  const createNetwork = () => Promise.resolve((made++, { network }));
  await using api = await testServer(fakeApi({ createNetwork }), { names: ["h1"] });
  const listen = { host: "127.0.0.1", port: 0 };
  const docker = serveDocker({} as DockerApi, {
    addresses: { listen: [listen], otherwise: undefined, also: [], told: listen },
    tls: undefined,
    names: ["h1"],
    log: keptLog().log,
  });
  try {
    const post = async (port: number, path: string, ...headers: string[]) => {
      const args = headers.flatMap((header) => ["-H", header]);
      const { body, status } = await curl(["-d", "{}", ...args, `http://127.0.0.1:${port}${path}`]);
      return `${body} ${status}`;
    };
    const port = api.at.port, text = "Content-Type: text/plain";
    const foreign = [
      ["Origin: http://evil.example", text],
      ["Origin: http://evil.example", `Host: evil.example:${port}`, text],
      [`Origin: http://evil.example:${port}`, `Host: evil.example:${port}`, text],
      ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", text],
      ["Origin: null", text],
    ];
    for (const headers of foreign) {
      assert.match(await post(port, "/networks", ...headers), /^\{"error":".*browser.*"\}\n 403$/s);
      assert.match(await post(docker.at.port, "/Plugin.Activate", ...headers), /browser.* 403$/s);
      assert.match(await post(port, "/networks", "Expect: 100-continue", ...headers), / 403$/);
    }
    assert.equal(made, 0);
    const own = [
      [],
      ["Content-Type:"],
      ["Host: some.other.name"],
      [`Origin: http://127.0.0.1:${port}`],
      [`Origin: http://h1:${port}`, `Host: h1:${port}`, "Sec-Fetch-Site: same-origin"],
      [`Origin: http://localhost:${port}`, `Host: localhost:${port}`],
    ];
    for (const headers of own) assert.match(await post(port, "/networks", ...headers), / 201$/);
    assert.equal(made, own.length);
    assert.match(await post(docker.at.port, "/Plugin.Activate"), / 200$/);
  } finally {
    await docker.close();
  }
});
