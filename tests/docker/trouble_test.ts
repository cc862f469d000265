/**
 * Docker with containers, engine, agent or etcd killed or away: containers keep running and nothing leaks.
 * STRAND_DOCKER_ROUNDS=100 makes and removes more containers than the default of 16, by which each of four lanes makes
 * one of each kind.
 */
import assert from "node:assert/strict";
import { dockerFailpoints, type Failpoint } from "../../services/agent/failpoints.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Environment, OverlayHost } from "../lab/overlay_host.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";
import { DockerHost, IMAGE, withDocker } from "./docker_host.ts";

const ROUNDS = Number(Deno.env.get("STRAND_DOCKER_ROUNDS") ?? 16);

/**
 * What Docker has forgotten is deleted after so many seconds, and addresses that no endpoint has are free again. A busy
 * machine may take some of them from an endpoint's being made until its interface is moved to the container.
 */
const GRACE = { STRAND_AGENT_ADDRESS_GRACE: "20" };
const CHECKS = { STRAND_AGENT_CHECK_EVERY: "1" };

/** How long an agent that starts lets calls wait for etcd, with a second to spare; it refuses them then. */
const CALLS_WAIT_MS = 7_000;

/** What dockerd logs before it calls a plugin again that does not answer. */
const WAITS = /Unable to connect to plugin.*retrying in/;

/** A host with its engine. */
interface Side {
  readonly host: OverlayHost;
  readonly docker: DockerHost;
  /** What its agent is started with: it looks often, and dies where the file `failpoint` says. */
  readonly env: Environment;
  readonly failpoint: string;
}

/** Two hosts with a network called blue, without a way out of it: nothing but the agents' own doing. */
async function hosts(stack: AsyncDisposableStack) {
  const lab = stack.use(await OverlayLab.create());
  const [one, two] = await Promise.all(lab.hosts.map(async (host): Promise<Side> => {
    const failpoint = `${host.directory}/failpoint`;
    await Deno.writeTextFile(failpoint, "");
    const [docker] = await Promise.all([DockerHost.started(host), host.start(withDocker(host))]);
    const env = { ...withDocker(host), ...CHECKS, ...GRACE, STRAND_FAILPOINT: failpoint };
    return { host, docker: stack.use(docker), env, failpoint };
  }));
  assert.ok(one && two);
  const { id } = await one.host.api.createNetwork();
  const drivers = ["--driver", "sand", "--ipam-driver", "sand", "--internal", "--subnet", "10.0.0.0/24"];
  const options = [...drivers, "--ipam-opt", `sand-id=${id}`, "--opt", `sand-id=${id}`];
  await Promise.all([one, two].map(({ docker }) => docker.docker("network", "create", ...options, "blue")));
  return { lab, one, two, before: await store(lab) };
}

type Hosts = Awaited<ReturnType<typeof hosts>>;

/** What etcd holds, but for how far each host is, and in which order addresses are given out. */
async function store(lab: OverlayLab): Promise<Map<string, string>> {
  const all = await lab.kv.under("/sc-net/");
  return new Map([...all].filter(([key]) => !/\/(applied|cursor)\//.test(key)));
}

/** The names of a host's network devices, the containers' and the networks' too. */
async function devices(host: OverlayHost): Promise<string[]> {
  const { stdout } = await run(host.host.enter(["ip", "-br", "link"]));
  return [...stdout.matchAll(/^[^\s@]+/gm)].map(([name]) => name);
}

/** The plugin's sockets on a host: of the state that is asked for. */
async function sockets(host: OverlayHost, state: "listening" | "established"): Promise<string[]> {
  const { stdout } = await run(host.host.enter(["ss", "-Htn", "state", state, "sport", "=", ":9998"]));
  return stdout.split("\n").filter(Boolean);
}

async function nothingLeft({ lab, before }: Hosts): Promise<void> {
  await until("etcd and kernels are as before", async (see) => {
    const now = await store(lab);
    see([...now.keys()]);
    return JSON.stringify([...now]) === JSON.stringify([...before]) &&
      see(await lab.differences()).length === 0;
  }, 120_000);
  for (const host of lab.hosts) assert.deepEqual(await devices(host), ["lo", "eth0"]);
}

Deno.test("Docker: nothing leaks and containers go on, whatever is killed or away", async (t) => {
  await using stack = new AsyncDisposableStack();
  const made = await hosts(stack);
  await t.step("nothing leaks: run, rm -f, kill -9 of the container, of dockerd and of the agent", (t) => {
    return leaks(t, made);
  });
  await t.step("containers go on while dockerd, the agent or etcd is away", (t) => goOn(t, made));
  await t.step("dockerd does not wait for an agent that was stopped, and waits for one that starts", (t) => {
    return starts(t, made);
  });
});

async function leaks(t: Deno.TestContext, made: Hosts): Promise<void> {
  const { one, two } = made;

  // Docker says of each container that it goes: none is to be given up, or to be found by looking at the kernel.
  await t.step(`${ROUNDS} rounds`, async () => {
    const round = async (docker: DockerHost, name: string, kind: number) => {
      switch (kind % 4) {
        case 0:
          await docker.docker("run", "--rm", "--network", "blue", IMAGE, "true");
          break;
        case 1:
          await docker.detached(name, "blue", "sleep 1000");
          await docker.docker("rm", "--force", name);
          break;
        case 2: {
          await docker.detached(name, "blue", "sleep 1000");
          const pid = Number(await docker.docker("inspect", "--format", "{{.State.Pid}}", name));
          Deno.kill(pid, "SIGKILL");
          await docker.docker("wait", name);
          await docker.docker("rm", name);
          break;
        }
        case 3:
          // What cannot be run gives back what it took.
          assert.notEqual(
            (await docker.try(["run", "--rm", "--network", "blue", IMAGE, "no-such-program"])).code,
            0,
          );
      }
    };
    const lane = async ({ docker }: Side, lane: number) => {
      for (let i = 0; i < ROUNDS / 4; i++) await round(docker, `r${lane}-${i}`, lane + i);
    };
    await Promise.all([lane(one, 0), lane(one, 1), lane(two, 2), lane(two, 3)]);
    await nothingLeft(made);
  });

  await t.step("dockerd is killed while containers run, and starts again", async () => {
    await Promise.all([one, two].map(async ({ host, env }) => {
      await host.stop();
      await host.start(env);
    }));
    await Promise.all([one, two].map(({ docker }) => docker.detached("c1", "blue", "sleep 1000")));
    await one.docker.stop("SIGKILL");
    await one.docker.start();
    await Promise.all([one, two].map(({ docker }) => docker.docker("rm", "--force", "c1")));
    await nothingLeft(made);
  });

  const dies = async ({ host, docker, env, failpoint }: Side, at: Failpoint) => {
    await Deno.writeTextFile(failpoint, at);
    const running = docker.try(["run", "--rm", "--network", "blue", IMAGE, "true"]);
    await until(`the agent dies at ${at}`, () => !host.running);
    await Deno.writeTextFile(failpoint, "");
    await host.start(env);
    await running;
    await docker.docker("run", "--rm", "--network", "blue", IMAGE, "true");
  };
  const places = [
    ...dockerFailpoints,
    "endpoint:after-commit",
    "op:veth-add",
    "delete:after-commit",
  ] as const;
  for (let i = 0; i < places.length; i += 2) {
    // An agent of each host, at the same time.
    const [first, second] = places.slice(i, i + 2);
    await t.step(`the agent dies at ${[first, second].join(" and ")}, and starts again`, async () => {
      await Promise.all([first && dies(one, first), second && dies(two, second)]);
      await nothingLeft(made);
    });
  }
}

async function goOn(t: Deno.TestContext, made: Hosts): Promise<void> {
  const { lab, one: { host: h1, docker: d1, env }, two: { docker: d2 } } = made;
  await d1.liveRestore(true);
  await Promise.all([
    d1.detached("c1", "blue", "sleep 1000", "--ip", "10.0.0.11", "--restart", "always"),
    d1.detached("c3", "blue", "sleep 1000"),
    d2.detached("c2", "blue", "sleep 1000", "--ip", "10.0.0.12"),
  ]);
  const pings = () => d2.exec("c2", "ping -c 1 -W 5 10.0.0.11");
  const endpoint = async () => {
    const all = await h1.api.endpoints({ hostname: "h1" });
    return all.find(({ target_veth_ip }) => target_veth_ip === "10.0.0.11/24");
  };
  const of = await endpoint();
  assert.ok(of);
  const same = async () => {
    const now = await endpoint();
    assert.deepEqual([now?.id, now?.active, now?.overlay_veth_name], [of.id, true, of.overlay_veth_name]);
  };
  await until("c1 is reached", () => pings().then(() => true, () => false));

  await t.step("dockerd restarted", async () => {
    await d1.stop();
    await pings();
    await d1.start();
    await pings();
    await same();
    await d1.exec("c1", "ping -c 1 -W 5 10.0.0.12");
  });

  await t.step("the agent restarted, killed and started", async () => {
    for (const end of ["stop", "kill"] as const) {
      const meanwhile = d2.exec("c2", "ping -i 0.05 -c 40 -W 1 10.0.0.11");
      await h1[end]();
      await pings();
      await h1.start(env);
      assert.match(await meanwhile, / 0% packet loss/);
      await pings();
      await same();
    }
  });

  await t.step(
    "etcd away: an error at once, everything goes on, and what Docker forgets is given back",
    async () => {
      await lab.etcd.kill();
      const { stderr } = await quickly(
        15_000,
        () => d1.try(["run", "--rm", "--network", "blue", IMAGE, "true"]),
      );
      assert.match(stderr, /etcd/);
      await pings();
      await d1.docker("rm", "--force", "c3");
      await lab.etcd.start();
    },
  );

  await t.step("then all is as before", async () => {
    await Promise.all([d1.docker("rm", "--force", "c1"), d2.docker("rm", "--force", "c2")]);
    await nothingLeft(made);
  });
  await d1.liveRestore(false);
}

async function starts(t: Deno.TestContext, made: Hosts): Promise<void> {
  const { lab, one: { host: h1, docker: d1, env } } = made;
  const names = ["c1", "c2", "c3"];
  await Promise.all(names.map((name, i) => {
    return d1.detached(name, "blue", "sleep 1000", "--restart", "always", "--ip", `10.0.0.1${i}`);
  }));
  const running = async () =>
    (await d1.docker("ps", "--format", "{{.Names}}")).split("\n").filter(Boolean).sort();

  await t.step("stopped: dockerd starts at once, without the containers", async () => {
    await d1.stop("SIGKILL");
    await h1.stop();
    await d1.start();
    assert.deepEqual(d1.lines.filter((line) => WAITS.test(line)), [], "dockerd waits for no plugin");
    assert.deepEqual(await running(), []);
    assert.match((await d1.try(["start", "c1"])).stderr, /the agent is stopped: start it/);
    await h1.start(env);
    await Promise.all(names.map((name) => d1.docker("start", name)));
    assert.deepEqual(await running(), names);
  });

  await t.step(
    "as after a boot: dockerd starts first, and the containers once the agent is there",
    async () => {
      await d1.stop("SIGKILL");
      await h1.kill();
      const starting = d1.start();
      await until(
        "dockerd asks for the plugin",
        (see) => see(d1.lines).some((line) => WAITS.test(line)),
      );
      await h1.start(env);
      await starting;
      await until("the containers run", async (see) => see(await running()).length === names.length);
    },
  );

  await t.step("as after a boot: dockerd calls before etcd has answered the agent", async () => {
    for (let tries = 1;; tries++) {
      await d1.stop("SIGKILL");
      await h1.kill();
      await lab.etcd.kill();
      const began = performance.now();
      h1.launch(env);
      await until("the agent takes calls", async (see) => see(await sockets(h1, "listening")).length > 0);
      const starting = d1.start();
      await until("dockerd has called", async (see) => see(await sockets(h1, "established")).length > 0);
      await lab.etcd.start();
      await h1.ready();
      const took = performance.now() - began;
      await starting;
      if (took < CALLS_WAIT_MS) break;
      // What was called before that has been refused, and Docker does not start such a container by itself.
      assert.ok(tries < 5, `${took} ms`);
      for (const name of names) await d1.docker("start", name);
    }
    await until("the containers run", async (see) => see(await running()).length === names.length);
  });

  await Promise.all(names.map((name) => d1.docker("rm", "--force", name)));
  await nothingLeft(made);
}
