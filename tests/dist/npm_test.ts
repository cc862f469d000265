/** The package of npm: plain Node imports it, drives a real agent with it, and TypeScript finds its types. */
import assert from "node:assert/strict";
import { fakeApi, testServer } from "../../services/agent/http/testing.ts";
import { version } from "../../services/common/version.ts";
import { materialOf } from "../agent/http_lab.ts";
import { certificates } from "../lab/certificates.ts";
import { Process, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { NpmPackage, root } from "./npm_package.ts";

const NAME = "strand-agent-client";

/** What another program does with the package beside the README's example. */
const program = `
import { AgentClient, AgentRefusal, AgentUnavailable, agentAddress } from "${NAME}";
const [url, ip] = process.argv.slice(2);
const agent = new AgentClient({ address: agentAddress(url) });
console.log(process.versions.deno ?? "node", (await agent.version()).version);
const { networks: [network] } = await agent.networks();
console.log((await agent.way(network.id, ip)).way.problems.length, (await agent.readiness()).ready);
await agent.network("x").catch((error) => console.log(error instanceof AgentRefusal, error.status, error.message));
const nowhere = new AgentClient({ address: agentAddress("http://127.0.0.1:1") });
await nowhere.version().catch((error) => console.log(error instanceof AgentUnavailable, error.why));
const stream = await agent.connect(network.id, ip, 7);
await stream.write(new TextEncoder().encode("hello"));
await stream.finish();
let said = "";
for (let bytes; (bytes = await stream.read()) !== undefined;) said += new TextDecoder().decode(bytes);
stream.close();
console.log(said);
`;

/** What a program does that reaches an agent over TLS. */
const secure = `
import { readFileSync } from "node:fs";
import { AgentClient, agentAddress } from "${NAME}";
const [url, ...files] = process.argv.slice(2), [cert, key, ca] = files.map((file) => readFileSync(file));
const to = (tls) => new AgentClient({ address: agentAddress(url, tls) }).version();
console.log((await to({ cert, key, ca })).version);
await to({ cert, key, ca: undefined }).catch(({ why, cause }) => console.log(why, cause.message));
`;

/** A server that says what it is told, once the client has ended its direction. */
const ECHO = `
import socket
server = socket.create_server(("", 7))
print("ready")
while True:
    client, _ = server.accept()
    client.sendall(b"".join(iter(lambda: client.recv(4096), b"")))
    client.close()
`;

const typed = `
import { AgentClient, agentAddress, type Endpoint, type Report } from "${NAME}";
const agent = new AgentClient({ address: agentAddress("unix:/run/strand/agent.sock") });
const endpoints: readonly Endpoint[] = (await agent.endpoints()).endpoints ?? [];
const report: Report = await agent.readiness();
export const names: (string | undefined)[] = endpoints.map(({ name }) => name);
export const ready: boolean = report.ready;
`;

Deno.test("the package of npm", async (t) => {
  await using npm = await NpmPackage.create(NAME);
  const { directory } = npm;

  await t.step("has a manifest, a licence, a README, and nothing of Deno's", async () => {
    const manifest = await npm.manifest();
    assert.deepEqual([manifest.type, manifest.dependencies], ["module", undefined]);
  });

  await t.step("has types", async () => {
    await Deno.writeTextFile(`${directory}/typed.ts`, typed);
    await Deno.writeTextFile(`${directory}/package.json`, "{}");
    const check = [
      "sh",
      "-c",
      `cd '${directory}' && exec "$0" check --quiet --node-modules-dir=manual typed.ts`,
      Deno.execPath(),
    ];
    await run(check);
    await Deno.writeTextFile(`${directory}/typed.ts`, typed.replace("ready: boolean", "ready: string"));
    assert.notEqual((await run(check, { mayFail: true })).code, 0);
  });

  await t.step("is imported by Node, which drives an agent by its Unix socket and by TCP", async () => {
    await using lab = await OverlayLab.started({ hosts: 1 });
    const host = lab.host(1), container = await host.container();
    const readme = Deno.readTextFileSync(`${root}deploy/npm/README.md`);
    const [, example = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
    await Deno.writeTextFile(
      `${directory}/example.mjs`,
      example.replace("unix:/run/strand/agent.sock", `unix:${host.socket}`),
    );
    await Deno.writeTextFile(`${directory}/program.mjs`, program);
    const node = async (file: string, ...args: string[]) =>
      (await run(host.host.enter(["node", `${directory}/${file}`, ...args]))).stdout.trim().split("\n");

    const [made = "", refused = ""] = await node("example.mjs", container.path);
    assert.match(made, /^web 10\.0\.0\.\d+\/24$/);
    assert.match(refused, /^400 .*endpoint/);
    const address = made.split(" ")[1]?.split("/")[0] ?? "";
    const server = new Process(container.enter(["/usr/bin/python3", "-uc", ECHO]));
    await using _stopped = { [Symbol.asyncDispose]: async () => void await server.stop() };
    await server.line(/ready/);
    for (const url of [`unix:${host.socket}`, "http://127.0.0.1:9999"]) {
      assert.deepEqual(await node("program.mjs", url, address), [
        `node ${version}`,
        "0 true",
        'true 404 there is no network "x"',
        "true lost",
        "hello",
      ]);
    }
  });

  await t.step(
    "is served over TLS with a certificate of the client's, and refuses a server that it cannot trust",
    async () => {
      await using certs = await certificates();
      await using server = await testServer(fakeApi(), { tls: await materialOf(certs, "server") });
      await Deno.writeTextFile(`${directory}/secure.mjs`, secure);
      const files = ["client", "client-key", "ca"].map((name) => certs.path(name));
      const url = `https://127.0.0.1:${server.at.port}`;
      const { stdout } = await run(["node", `${directory}/secure.mjs`, url, ...files]);
      assert.deepEqual(stdout.trim().split("\n"), [
        version,
        "lost self-signed certificate in certificate chain",
      ]);
    },
  );
});
