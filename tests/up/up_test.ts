/** strand up and strand status as processes, with services that die or hang. */
import assert from "node:assert/strict";
import { scapy } from "../conformance/dhcp_scapy.ts";
import { type Host, Lab, type Process, run, strandCommand } from "../lab/host.ts";
import { NotifySocket } from "../lab/notify_socket.ts";

interface Up extends AsyncDisposable {
  readonly host: Host;
  readonly process: Process;
  readonly env: Readonly<Record<string, string>>;
  /** A host without an address beside it. */
  client(mac: string): Promise<Host>;
  status(): Promise<{ ok: boolean; services: { service: string; ready: boolean; problems: unknown[] }[] }>;
}

/** `strand up` without a configuration but these variables, alone on a host at 192.0.2.1; ready. */
async function up(variables: Record<string, string> = {}): Promise<Up> {
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
  const process = host.strand(["up"], { env, sharesMounts: true });
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
  const deadline = Date.now() + 60_000;
  while (process.lines.filter((line) => fits.test(line)).length < count) {
    assert.ok(Date.now() < deadline, `waited without success for ${fits}:\n${process.tail()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("strand up tells systemd that it is ready once every service is, and that it stops", async () => {
  const directory = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const manager = stack.use(await NotifySocket.bound(`${directory}/notify`));
  const { process } = stack.use(await up({ NOTIFY_SOCKET: `${directory}/notify` }));
  await manager.until(/READY=1/);
  process.signal("SIGTERM");
  const texts = (await manager.until(/STOPPING=1/)).map(({ text }) => text);
  assert.match(texts[0] ?? "", /^STATUS=not ready/);
  assert.deepEqual(texts.filter((text) => text.includes("READY=1")), ["READY=1\nSTATUS=ready"]);
  assert.equal(texts.at(-1), "STOPPING=1\nSTATUS=stopping");
  // What a service says in this one's name would count where NotifyAccess=all.
  assert.equal(new Set((await manager.until(/STOPPING=1/)).map(({ pid }) => pid)).size, 1);
});

async function pids(host: Host): Promise<string[]> {
  return (await run(["ip", "netns", "pids", host.netns])).stdout.split("\n").filter(Boolean);
}

Deno.test("strand status dhcpd lists the clients that were not answered because they are not known", async () => {
  await using machine = await up({ STRAND_DHCPD_INTERFACES: "eth0", STRAND_LOG_LEVEL: "debug" });
  const { host, process } = machine, mac = "00:00:77:00:00:01";
  const client = await machine.client(mac);
  assert.deepEqual(await scapy(client, [{ type: "discover", mac }, { type: "discover", mac }]), [null, null]);
  await process.line(
    /"mac":"00:00:77:00:00:01","link":"eth0","msg":"an unknown client: no member, and in no macrange"/,
  );
  const { stdout } = await host.run(strandCommand(["status", "dhcpd"]), { env: machine.env });
  assert.match(
    stdout,
    /\n +unknown client 00:00:77:00:00:01 +on eth0, 2 times, \d+ s ago: no member, and in no macrange\n/,
  );
});

Deno.test("strand up: what dies is started again, status says so, and SIGTERM ends all of it", async () => {
  await using machine = await up();
  const { host, process } = machine;
  assert.equal((await machine.status()).ok, true);

  Deno.kill(pidOf(machine, "nexd"), "SIGKILL");
  await times(2, /"ready":"nexd"/, process);
  Deno.kill(pidOf(machine, "etcd"), "SIGKILL");
  await times(1, /etcd is back/, process);
  const deadline = Date.now() + 60_000;
  while (!(await machine.status()).ok) assert.ok(Date.now() < deadline, process.tail());

  assert.equal((await process.stop()).code, 0);
  assert.deepEqual(await pids(host), []);
  const after = await machine.status();
  assert.equal(after.ok, false);
  assert.deepEqual(after.services.map(({ service, problems }) => [service, problems.length]), [
    ["etcd", 1],
    ["nexd", 1],
    ["dnsd", 1],
  ]);
});

Deno.test("strand up: services that hang are all ended after 5 s, and etcd in order after them", async () => {
  await using machine = await up();
  for (const name of ["nexd", "dnsd"]) Deno.kill(pidOf(machine, name), "SIGSTOP");
  const started = performance.now();
  const { code } = await machine.process.stop("SIGTERM", 30_000);
  const seconds = (performance.now() - started) / 1000;
  assert.equal(code, 0);
  // One after the other they would take twice as long.
  assert.ok(seconds < 9.5, `${seconds} s`);
  assert.deepEqual(await pids(machine.host), []);
});

Deno.test("strand up: when it is killed, nothing of it runs on", async () => {
  await using machine = await up();
  const { host, process } = machine;
  assert.ok((await pids(host)).length >= 4);
  process.signal("SIGKILL");
  const deadline = Date.now() + 60_000;
  while ((await pids(host)).length > 0) assert.ok(Date.now() < deadline, `${await pids(host)} run on`);
});

Deno.test("strand up: with PEER_IP there is an agent, its API on loopback", async () => {
  await using machine = await up({ PEER_IP: "192.0.2.1" });
  const { ok, services } = await machine.status();
  assert.deepEqual(services.map(({ service }) => service), ["etcd", "nexd", "dnsd", "agent", "gatewayd"]);
  assert.equal(ok, true);
  const { stdout } = await machine.host.run(["ss", "-Hltn", "sport = :9999"]);
  assert.deepEqual(stdout.trim().split(/\s+/)[3], "127.0.0.1:9999");
  assert.equal((await machine.process.stop()).code, 0);
  assert.deepEqual(await pids(machine.host), []);
});
