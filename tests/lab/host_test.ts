/** The network namespaces that tests use as hosts: reachability and cleanup. */
import assert from "node:assert/strict";
import { Lab, run } from "./host.ts";
import { until } from "./until.ts";

async function namespaces(prefix: string): Promise<string[]> {
  const { stdout } = await run(["ip", "netns", "list"]);
  return stdout.split("\n").filter((line) => line.startsWith(prefix));
}

Deno.test("Lab: hosts on one segment reach each other, and nothing is left afterwards", async () => {
  const mine = `strand-host-${Deno.pid}-`;
  {
    await using lab = await Lab.create("host");
    const lan = await lab.segment("lan");
    const a = await lab.host("a", { segment: lan, address: "10.9.0.1/24" });
    const b = await lab.host("b", { segment: lan, address: "10.9.0.2/24", mac: "00:00:11:11:00:01" });
    const knock = await a.run(["bash", "-c", "</dev/tcp/10.9.0.2/9"], { mayFail: true });
    assert.match(knock.stderr, /refused/); // By a host that is there: otherwise it is unreachable.
    assert.match((await b.run(["ip", "link", "show", "eth0"])).stdout, /00:00:11:11:00:01/);
    a.spawn(["sleep", "1000"]);
    assert.equal((await namespaces(mine)).length, 3);
  }
  assert.deepEqual(await namespaces(mine), []);
});

Deno.test("Lab.create() removes what a killed process left, and its processes", async () => {
  const dead = await new Deno.Command("true").spawn();
  await dead.status;
  const netns = `strand-leftover-${dead.pid}-0-a`;
  await run(["ip", "netns", "add", netns]);
  const child = new Deno.Command("ip", { args: ["netns", "exec", netns, "sleep", "1000"] }).spawn();
  const pids = async () => (await run(["ip", "netns", "pids", netns])).stdout.split("\n");
  await until("it runs in there", async (see) => see(await pids()).includes(`${child.pid}`));
  await using _lab = await Lab.create("leftover");
  assert.equal((await child.status).signal, "SIGKILL");
  assert.deepEqual(await namespaces(netns), []);
});
