/** strand up and strand status as processes, with services that die or hang. */
import assert from "node:assert/strict";
import { scapy } from "../conformance/dhcp_scapy.ts";
import { Lab, type LabHost, type Process, run, strandCommand } from "../lab/host.ts";
import { NotifySocket } from "../lab/notify_socket.ts";
import { until } from "../lab/until.ts";

/** After so many ms systemd is told of readiness in any case. */
const LONGEST_START = 30_000;

interface Up extends AsyncDisposable {
  readonly host: LabHost;
  readonly process: Process;
  readonly env: Readonly<Record<string, string>>;
  /** A host without an address beside it. */
  client(mac: string): Promise<LabHost>;
  status(): Promise<{ ok: boolean; services: { service: string; ready: boolean; problems: unknown[] }[] }>;
}

/** `strand up` without a configuration but these variables, alone on a host at 192.0.2.1; ready. */
async function up(variables: Record<string, string> = {}, ...options: string[]): Promise<Up> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await Lab.create("up"));
  const segment = await lab.segment("lan");
  const host = await lab.host("one", { segment, address: "192.0.2.1/24" });
  const directory = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const env = {
    STRAND_CONFIG: "/dev/null",
    STRAND_ETCD_DATA_DIR: `${directory}/etcd`,
    STRAND_LOG_FORMAT: "json",
    ...(variables["PEER_IP"] && {
      STRAND_AGENT_STATE_DIR: `${directory}/agent`,
      STRAND_AGENT_SOCKET: `${directory}/agent.sock`,
    }),
    ...variables,
  };
  const process = host.strand(["up", ...options], { env, sharesMounts: true });
  stack.defer(async () => void await process.stop());
  await process.line(/"ready":"all"/);
  const all = stack.move();
  return {
    host,
    process,
    env,
    client: (mac) => lab.host("client", { segment, mac }),
    async status() {
      return JSON.parse(
        (await host.run(strandCommand(["status", "-o", "json"]), { env, mayFail: true })).stdout,
      );
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function pidOf({ process }: Up, service: string): number {
  const line = process.lines.findLast((line) => line.includes(`"ready":"${service}"`));
  return JSON.parse(line ?? "{}").pid;
}

/** Resolves when `count` lines fit. */
async function times(count: number, fits: RegExp, process: Process): Promise<void> {
  await until(`${count} lines fit ${fits}`, (see) => {
    see(process.tail());
    return process.lines.filter((line) => fits.test(line)).length >= count;
  });
}

async function pids(host: LabHost): Promise<string[]> {
  return (await run(["ip", "netns", "pids", host.netns])).stdout.split("\n").filter(Boolean);
}

Deno.test("strand up: what dies is started again, status says so, and SIGTERM ends all of it; systemd is told of readiness and the end", async () => {
  const directory = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const manager = stack.use(await NotifySocket.bound(`${directory}/notify`)), began = performance.now();
  const machine = stack.use(await up({ NOTIFY_SOCKET: `${directory}/notify` }));
  const { host, process } = machine;
  const first = await manager.until(/READY=1/), took = performance.now() - began;
  assert.match(first[0]?.text ?? "", /^STATUS=not ready/);
  await manager.until(/STATUS=ready/);
  await until("status says that all is well", async (see) => see(await machine.status()).ok);

  Deno.kill(pidOf(machine, "nexd"), "SIGKILL");
  await times(2, /"ready":"nexd"/, process);
  Deno.kill(pidOf(machine, "etcd"), "SIGKILL");
  await times(1, /etcd is back/, process);
  await until("all is well again", async (see) => see(await machine.status()).ok);

  process.signal("SIGTERM");
  const told = await manager.until(/STOPPING=1/), texts = told.map(({ text }) => text);
  const [ready = "", ...others] = texts.filter((text) => text.includes("READY=1"));
  assert.deepEqual(others, []);
  // A start that takes longer may be told of with what is lacking.
  if (took < LONGEST_START) assert.equal(ready, "READY=1\nSTATUS=ready");
  assert.equal(texts.at(-1), "STOPPING=1\nSTATUS=stopping");
  // What a service says in this one's name would count where NotifyAccess=all.
  assert.equal(new Set(told.map(({ pid }) => pid)).size, 1);
  assert.equal((await process.ended).code, 0);
  assert.deepEqual(await pids(host), []);
  const after = await machine.status();
  assert.equal(after.ok, false);
  assert.deepEqual(after.services.map(({ service, problems }) => [service, problems.length]), [
    ["etcd", 1],
    ["nexd", 1],
    ["dnsd", 1],
  ]);
});

Deno.test("strand up: every service; clients that dhcpd did not answer are listed, and services that hang are ended after 5 s", async (t) => {
  const options = { STRAND_DHCPD_INTERFACES: "eth0", STRAND_LOG_LEVEL: "debug", PEER_IP: "192.0.2.1" };
  await using machine = await up(options, "--dashboard");
  const { host, process } = machine, mac = "00:00:77:00:00:01";

  await t.step(
    "with PEER_IP there is an agent, its API on loopback, and with --dashboard a page",
    async () => {
      await until("all is well", async (see) => see(await machine.status()).ok);
      const { services } = await machine.status();
      assert.deepEqual(services.map(({ service }) => service), [
        "etcd",
        "nexd",
        "dhcpd",
        "dnsd",
        "agent",
        "gatewayd",
        "dashboard",
      ]);
      const { stdout: page } = await host.run(["curl", "-fsS", "http://127.0.0.1:8090/networks.json"]);
      assert.equal(JSON.parse(page).etcd.inSync, true);
      const { stdout } = await host.run(["ss", "-Hltn", "sport = :9999"]);
      assert.deepEqual(stdout.trim().split(/\s+/)[3], "127.0.0.1:9999");
    },
  );

  await t.step(
    "strand status dhcpd lists the clients that were not answered because they are not known",
    async () => {
      const client = await machine.client(mac);
      let sent = 0;
      // On a busy machine a message may wait for long, and dhcpd drops it then.
      await until("it is listed with how often it asked", async (see) => {
        const replies = await scapy(client, Array(2).fill({ type: "discover", mac, silent: true }));
        assert.deepEqual(replies, [null, null]);
        sent += 2;
        const status = strandCommand(["status", "dhcpd"]);
        const { code, stdout } = await host.run(status, { env: machine.env, mayFail: true });
        const [, times] =
          /\n +unknown client 00:00:77:00:00:01 +on eth0, (\d+) times, \d+ s ago: no member, and in no macrange\n/
            .exec(see(stdout)) ?? [];
        assert.ok(!(Number(times) > sent), `${sent} were sent: ${stdout}`);
        return code === 0 && Number(times) > 1;
      });
      await process.line(
        /"mac":"00:00:77:00:00:01","link":"eth0","msg":"an unknown client: no member, and in no macrange"/,
      );
    },
  );

  await t.step("services that hang are all ended after 5 s, and etcd in order after them", async () => {
    const ends = ["nexd", "dnsd"].map(async (name) => {
      const pid = pidOf(machine, name);
      Deno.kill(pid, "SIGSTOP");
      await until(`${name} is gone`, () => Deno.stat(`/proc/${pid}`).then(() => false, () => true));
      return performance.now();
    });
    assert.equal((await process.stop("SIGTERM", 60_000)).code, 0);
    const [first = 0, second = 0] = await Promise.all(ends);
    // One after the other, the second would have five seconds more.
    assert.ok(Math.abs(first - second) < 4_000, `${first - second} ms`);
    assert.deepEqual(await pids(host), []);
  });
});

Deno.test("strand up: when it is killed, nothing of it runs on", async () => {
  await using machine = await up();
  const { host, process } = machine;
  assert.ok((await pids(host)).length >= 4);
  process.signal("SIGKILL");
  await until("none of them runs", async (see) => see(await pids(host)).length === 0);
});
