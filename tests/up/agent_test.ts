/** strand status and strand agent release with a stand-in for an agent. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { freePort } from "../lab/free_port.ts";
import { Process, run, strandCommand } from "../lab/host.ts";

const standIn = fileURLToPath(new URL("./agent_stand_in.ts", import.meta.url));

/** The environment of a machine whose agent serves its status on `port`. */
function machine(port: number) {
  return { STRAND_CONFIG: "/dev/null", STRAND_AGENT_METRICS_LISTEN: `127.0.0.1:${port}` };
}

async function agent(env: Record<string, string>): Promise<AsyncDisposable> {
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--cached-only", standIn];
  const process = new Process(command, { env });
  await process.line(/ started /);
  return { [Symbol.asyncDispose]: async () => void await process.stop() };
}

const strand = (args: string[], env: Record<string, string>) =>
  run(strandCommand(args), { env, mayFail: true });

Deno.test("strand status shows the agent, and what it tells of its networks", async () => {
  const env = machine(freePort());
  await using _ = await agent(env);
  const { services } = JSON.parse((await strand(["status", "-o", "json"], env)).stdout);
  const row = services.find(({ service }: { service: string }) => service === "agent");
  assert.deepEqual([row.reachable, row.ready], [true, false]);
  assert.deepEqual(row.notes, [
    { what: "networks", value: 3 },
    { what: "host host2", value: "12 revisions behind" },
  ]);
  const { stdout } = await strand(["status"], env);
  assert.match(stdout, /^agent +127\.0\.0\.1:\d+ +not ready/m);
  assert.match(stdout, /^agent:\n {2}networks {4}3\n {2}host host2 {2}12 revisions behind$/m);
  assert.match(stdout, /^agent: etcd is another cluster's\n {2}→ look, then "strand agent release"$/m);
});

Deno.test("strand status SERVICE looks at that one and etcd, and misses it where it is not", async () => {
  const env = { ...machine(freePort()), STRAND_ETCD_ENDPOINTS: "127.0.0.1:1" };
  const seen = async (...names: string[]) =>
    JSON.parse((await strand(["status", ...names, "-o", "json"], env)).stdout).services
      .map(({ service, reachable }: { service: string; reachable: boolean }) => [service, reachable]);
  {
    await using _ = await agent(env);
    assert.deepEqual(await seen("agent"), [["etcd", false], ["agent", true]]);
  }
  assert.deepEqual(await seen("agent", "dhcpd"), [["etcd", false], ["dhcpd", false], ["agent", false]]);
  const { code, stderr } = await strand(["status", "etc"], env);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^strand status: no service "etc"; known are nexd, dhcpd, dnsd, agent, gatewayd, dashboard;/,
  );
});

Deno.test("strand agent release is done once, by the agent that runs", async () => {
  const env = machine(freePort());
  {
    await using _ = await agent(env);
    const first = await strand(["agent", "release"], env);
    assert.deepEqual([first.code, first.stdout], [0, "released: this host follows etcd again\n"]);
    const second = await strand(["agent", "release"], env);
    assert.deepEqual([second.code, second.stderr], [
      1,
      "strand agent: the agent refuses: nothing is on hold\n",
    ]);
  }
  const { code, stderr } = await strand(["agent", "release"], env);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^strand agent: the agent does not answer at 127\.0\.0\.1:\d+: .*; start it with .*\n$/,
  );
});

Deno.test("strand status and up mind the agent's variables only where an agent is wanted", async () => {
  const env = { STRAND_CONFIG: "/dev/null", PORT: "abc", STRAND_ETCD_ENDPOINTS: "127.0.0.1:1" };
  const services = (stdout: string) =>
    JSON.parse(stdout).services.map(({ service }: { service: string }) => service);
  const { stdout: without, stderr } = await strand(["status", "-o", "json"], env);
  assert.deepEqual([services(without).slice(0, 3), stderr], [["etcd", "nexd", "dnsd"], ""]);
  const wanted = { ...env, PEER_IP: "192.0.2.1" };
  for (const command of ["status", "up"]) {
    const { code, stderr } = await strand([command], wanted);
    assert.equal(code, 1);
    assert.equal(stderr, `strand ${command}: PORT: agent.port: needs a number, not "abc"\n`);
  }
  const right = { ...wanted, PORT: "1", ETCD_HOSTS: "127.0.0.1:2,127.0.0.1:1" };
  const { stdout } = await strand(["status", "-o", "json"], right);
  assert.deepEqual(services(stdout), ["etcd", "etcd", "nexd", "dnsd", "agent"]);
});
