/** sand-agent-cli in a session on two hosts with real agents. */
import assert from "node:assert/strict";
import { Process } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";

Deno.test("sand-agent-cli on two hosts: a network, endpoints that all hosts have, HTTP across, and the end of it all", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  /** Runs it on a host, against the agent at its default address. */
  const sand = async (host: typeof h1, ...args: string[]) => {
    const { code, stdout, stderr } = await host.strand(["sand-agent-cli", ...args]);
    assert.deepEqual([code, stderr], [0, ""], `${args}: ${stdout}`);
    return stdout;
  };
  const network = /id=(\S+) /.exec(await sand(h1, "network-create", "--name", "blue"))?.[1] ?? "";
  assert.equal(await sand(h2, "network-list"), `List of networks:\n* [${network}] blue (overlay VNI: 1)\n`);
  const [c1, c2] = [await h1.container(), await h2.container()];
  await t.step("endpoint-create --wait", async () => {
    for (const [host, { path }, address] of [[h1, c1, "10.0.0.2"], [h2, c2, "10.0.0.3"]] as const) {
      const made = await sand(host, "endpoint-create", "-n", network, "--ns", path, "--wait", "60s");
      const row = `networkID=${network} hostname=${host.name} IP=${address}/24 NS=${path}`;
      assert.match(made, new RegExp(`^New endpoint created:\n\\* \\[ACTIVE\\]  ID=\\S+ ${row}\n$`));
    }
    assert.equal((await sand(h1, "endpoint-list", "-n", network)).split("\n").length, 4);
    assert.match(
      await sand(h1, "endpoint-list", "--hostname", "h2"),
      /^List of endpoints:\n\S+ \[ACTIVE\] [^\n]+h2[^\n]+\n$/,
    );
  });
  await t.step("curl reaches a container of another host", async () => {
    const serve =
      `Deno.serve({ hostname: "10.0.0.3", port: 8080 }, async (q) => new Response(await q.text() + " heard"))`;
    const server = new Process(c2.inside([Deno.execPath(), "eval", serve]));
    try {
      await server.line(/Listening/);
      const curl = ["curl", "-n", network, "-X", "POST", "http://10.0.0.3:8080/"];
      for (const host of [h1, h2]) assert.equal(await sand(host, ...curl), " heard");
    } finally {
      await server.stop();
    }
    const refused = await h1.strand(["sand-agent-cli", "curl", "-n", network, "http://10.0.0.3:8080/"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^sand-agent-cli: [^\n]*10\.0\.0\.3:8080[^\n]*\n$/);
  });
  await t.step("network-delete --recursive asks both agents", async () => {
    const deleted = await sand(h1, "network-delete", "-r", "-n", network);
    assert.match(
      deleted,
      new RegExp(`^(Endpoint '\\S+' deleted\\.\n){2}Network ${network} has been deleted\n$`),
    );
    await lab.agree();
    assert.deepEqual([...(await lab.kv.under("/sc-net/")).keys()], []);
  });
});
