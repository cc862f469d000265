/** Where the plugin can be reached, tried with curl from its host and from a neighbour of that. */
import assert from "node:assert/strict";
import { curl } from "../lab/curl.ts";
import { type LabHost } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { certificates } from "../lab/certificates.ts";
import { withDocker } from "./docker_host.ts";

/** What is answered to Docker's first call; empty: nothing. */
async function get(from: LabHost, url: string, ...options: string[]): Promise<string> {
  return (await curl([...options, "-X", "POST", `${url}/Plugin.Activate`], from)).body;
}

Deno.test("Docker's port is this machine's alone, at every address that an engine may have been told", async (t) => {
  await using lab = await OverlayLab.create();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const env = withDocker(h1), spec = env["STRAND_AGENT_DOCKER_SPEC"] ?? "";
  const told = async () => (JSON.parse(await Deno.readTextFile(spec)) as { Addr: string }).Addr;
  const own = `http://${h1.ip}:9998`;
  const listening = async () =>
    (await h1.host.run(["ss", "-Hltn"])).stdout.split("\n")
      .flatMap((line) => /(\S+:9998)\s/.exec(line)?.[1] ?? []).sort();

  await t.step("by default it is loopback", async () => {
    await h1.start(env);
    assert.equal(await told(), "http://127.0.0.1:9998");
    assert.deepEqual(await listening(), ["127.0.0.1:9998"]);
    assert.match(await get(h1.host, "http://127.0.0.1:9998"), /NetworkDriver/);
    assert.equal(await get(h2.host, own), "");
    await h1.stop();
  });

  await t.step(
    "what an earlier sand.json named is answered to this machine, over further restarts too",
    async () => {
      await Deno.writeTextFile(spec, JSON.stringify({ Name: "sand", Addr: own }));
      for (const start of ["first", "second"]) {
        await h1.start(env);
        assert.equal(await told(), "http://127.0.0.1:9998", start);
        assert.deepEqual(await listening(), [`${h1.ip}:9998`, "127.0.0.1:9998"].sort(), start);
        for (const url of ["http://127.0.0.1:9998", own]) {
          assert.match(await get(h1.host, url), /NetworkDriver/, url);
        }
        assert.equal(await get(h2.host, own), "", "a neighbour gets nothing");
        await h1.agent.line(/answers this machine alone/);
        await h1.stop();
      }
    },
  );

  await t.step("with a listening address too, plain HTTP is for this machine", async () => {
    await Deno.remove(`${h1.directory}/docker-earlier.json`);
    await Deno.remove(spec);
    await h1.start({ ...env, HTTP_HOST: "0.0.0.0" });
    assert.match(await get(h1.host, own), /NetworkDriver/);
    assert.equal(await get(h2.host, own), "");
    await h1.stop();
  });

  await t.step(
    "an earlier address that the host has lost is told, and keeps nothing from starting",
    async () => {
      await Deno.writeTextFile(spec, JSON.stringify({ Name: "sand", Addr: "http://192.0.2.77:9998" }));
      await h1.start(env);
      assert.deepEqual(await listening(), ["127.0.0.1:9998"]);
      await h1.agent.line(/192\.0\.2\.77:9998 before, .*restart dockerd/);
      await h1.stop();
    },
  );

  await t.step("with HTTPS it is where PEER_HOSTNAME points, for those with a certificate", async () => {
    await using certs = await certificates();
    await h1.start({
      ...env,
      PEER_HOSTNAME: "localhost",
      HTTP_TLS_CERT: certs.path("server"),
      HTTP_TLS_KEY: `${certs.dir}/server-key.pem`,
      HTTP_TLS_CA: certs.path("ca"),
    });
    assert.equal(await told(), "https://localhost:9998");
    assert.deepEqual(await listening(), ["127.0.0.1:9998"]);
    const ca = ["--cacert", certs.path("ca")];
    const client = ["--cert", certs.path("client"), "--key", `${certs.dir}/client-key.pem`];
    assert.match(await get(h1.host, "https://localhost:9998", ...ca, ...client), /NetworkDriver/);
    assert.equal(await get(h1.host, "https://localhost:9998", ...ca), "");
    await h1.stop();
  });
});
