/** strand status and strand agent release with a stand-in for an agent. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { freePort } from "../lab/free_port.ts";
import { Process, run, strandCommand } from "../lab/host.ts";
import { until } from "../lab/until.ts";

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

/** What `strand status ARGS` prints once it fits: on a busy machine an agent may answer later than it is waited for. */
async function status(args: string[], env: Record<string, string>, fits: (text: string) => boolean) {
  let text = "";
  await until(`strand status ${args.join(" ")} shows the agent as it is`, async (see) => {
    return fits(text = see((await strand(["status", ...args], env)).stdout));
  });
  return text;
}

interface Row {
  readonly service: string;
  readonly reachable: boolean;
  readonly ready: boolean;
  readonly notes: unknown;
}

/** The services of what `strand status -o json` prints. */
const rowsOf = (text: string): Row[] => JSON.parse(text).services;

Deno.test("strand status shows the agent, and what it tells of its networks", async () => {
  const env = machine(freePort());
  await using _ = await agent(env);
  const agentOf = (text: string) => rowsOf(text).find(({ service }) => service === "agent");
  const row = agentOf(await status(["-o", "json"], env, (text) => agentOf(text)?.reachable === true));
  assert.equal(row?.ready, false);
  assert.deepEqual(row.notes, [
    { what: "networks", value: 3 },
    { what: "host host2", value: "12 revisions behind" },
  ]);
  const stdout = await status([], env, (text) => /^agent +127\.0\.0\.1:\d+ +not ready/m.test(text));
  assert.match(stdout, /^agent:\n {2}networks {4}3\n {2}host host2 {2}12 revisions behind$/m);
  assert.match(stdout, /^agent: etcd is another cluster's\n {2}→ look, then "strand agent release"$/m);
});

Deno.test("strand status SERVICE looks at that one and etcd, and misses it where it is not", async () => {
  const env = { ...machine(freePort()), STRAND_ETCD_ENDPOINTS: "127.0.0.1:1" };
  const seen = async (isReached: boolean, ...names: string[]) => {
    const text = await status(
      [...names, "-o", "json"],
      env,
      (text) => rowsOf(text).at(-1)?.reachable === isReached,
    );
    return rowsOf(text).map(({ service, reachable }) => [service, reachable]);
  };
  {
    await using _ = await agent(env);
    assert.deepEqual(await seen(true, "agent"), [["etcd", false], ["agent", true]]);
  }
  const none = await seen(false, "agent", "dhcpd");
  assert.deepEqual(none, [["etcd", false], ["dhcpd", false], ["agent", false]]);
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
