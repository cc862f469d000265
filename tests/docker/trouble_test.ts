/** Docker with containers, engine, agent or etcd killed or away: containers keep running and nothing leaks. */
import assert from "node:assert/strict";
import { dockerFailpoints } from "../../services/agent/failpoints.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { DockerHost, IMAGE, withDocker } from "./docker_host.ts";

/**
 * What Docker has forgotten is deleted after so many seconds, and addresses that no endpoint has are free again. A busy
 * machine may take some of them from an endpoint's being made until its interface is moved to the container.
 */
const GRACE = { STRAND_AGENT_ADDRESS_GRACE: "6" };
const CHECKS = { STRAND_AGENT_CHECK_EVERY: "1" };

/** What dockerd logs before it calls a plugin again that does not answer. */
const WAITS = /Unable to connect to plugin.*retrying in/;

/** Two hosts with a network called blue, without a way out of it: nothing but the agents' own doing. */
async function hosts(stack: AsyncDisposableStack, options: { live?: boolean; grace?: object } = {}) {
  const lab = stack.use(await OverlayLab.create());
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { grace = { ...CHECKS, ...GRACE } } = options;
  const env = (host: OverlayHost) => ({ ...withDocker(host), ...CHECKS, ...GRACE });
  const start = (host: OverlayHost, more = {}) => host.start({ ...env(host), ...more });
  await Promise.all([h1, h2].map((host) => host.start({ ...withDocker(host), ...grace })));
  const flags = options.live ? ["--live-restore"] : [];
  const d1 = stack.use(await DockerHost.started(h1, flags));
  const d2 = stack.use(await DockerHost.started(h2, flags));
  const { id } = await h1.api.createNetwork();
  for (const docker of [d1, d2]) {
    const options = ["--ipam-opt", `sand-id=${id}`, "--opt", `sand-id=${id}`, "--subnet", "10.0.0.0/24"];
    await docker.docker(
      "network",
      "create",
      "--driver",
      "sand",
      "--ipam-driver",
      "sand",
      "--internal",
      ...options,
      "blue",
    );
  }
  return { lab, h1, h2, d1, d2, id, env, start };
}

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

async function nothingLeft(lab: OverlayLab, before: Map<string, string>, timeoutMs = 40_000): Promise<void> {
  let found: unknown;
  await until("etcd and kernels are as before", async () => {
    const differences = await lab.differences();
    const now = await store(lab);
    found = { differences, now: [...now.keys()] };
    return differences.length === 0 && JSON.stringify([...now]) === JSON.stringify([...before]);
  }, timeoutMs).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(found, null, 1)}`);
  });
  for (const host of lab.hosts) assert.deepEqual(await devices(host), ["lo", "eth0"]);
}

Deno.test("nothing leaks: run, rm -f, kill -9 of the container, of dockerd and of the agent", async (t) => {
  await using stack = new AsyncDisposableStack();
  // Docker says of each of the hundred that it goes: none is to be given up, or to be found by looking at the kernel.
  const { lab, h1, h2, d1, d2, start } = await hosts(stack, { grace: {} });
  const before = await store(lab);

  await t.step("a hundred rounds", async () => {
    const round = async (docker: DockerHost, n: number) => {
      const name = `r${n}`;
      switch (n % 4) {
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
    const lane = async (docker: DockerHost, from: number, to: number) => {
      for (let n = from; n < to; n++) await round(docker, n);
    };
    await Promise.all([lane(d1, 0, 25), lane(d1, 25, 50), lane(d2, 50, 75), lane(d2, 75, 100)]);
    await nothingLeft(lab, before);
  });

  await t.step("dockerd is killed while containers run, and starts again", async () => {
    await Promise.all([h1, h2].map(async (host) => {
      await host.stop();
      await start(host);
    }));
    await d1.detached("c1", "blue", "sleep 1000");
    await d2.detached("c2", "blue", "sleep 1000");
    await d1.stop("SIGKILL");
    await d1.start();
    await d1.docker("rm", "--force", "c1");
    await d2.docker("rm", "--force", "c2");
    await nothingLeft(lab, before);
  });

  for (
    const failpoint of [...dockerFailpoints, "endpoint:after-commit", "op:veth-add", "delete:after-commit"]
  ) {
    await t.step(`the agent dies at ${failpoint}, and starts again`, async () => {
      await h1.stop();
      await start(h1, { STRAND_FAILPOINT: failpoint });
      const running = d1.try(["run", "--rm", "--network", "blue", IMAGE, "true"]);
      await until(`the agent dies at ${failpoint}`, () => !h1.running);
      await start(h1);
      await running;
      await d1.docker("run", "--rm", "--network", "blue", IMAGE, "true");
      await nothingLeft(lab, before);
    });
  }

  await t.step("what Docker forgets while etcd is away is given back", async () => {
    await d1.detached("c1", "blue", "sleep 1000");
    await lab.etcd.kill();
    await d1.docker("rm", "--force", "c1");
    await lab.etcd.start();
    await nothingLeft(lab, before);
  });
});

Deno.test("containers go on while dockerd, the agent or etcd is away", async (t) => {
  await using stack = new AsyncDisposableStack();
  const { lab, h1, d1, d2, start } = await hosts(stack, { live: true });
  const before = await store(lab);
  await d1.detached("c1", "blue", "sleep 1000", "--ip", "10.0.0.11", "--restart", "always");
  await d2.detached("c2", "blue", "sleep 1000", "--ip", "10.0.0.12");
  const pings = () => d2.exec("c2", "ping -c 1 -W 5 10.0.0.11");
  const [of] = await h1.api.endpoints({ hostname: "h1" });
  const same = async () => {
    const [now] = await h1.api.endpoints({ hostname: "h1" });
    assert.deepEqual([now?.id, now?.active, now?.overlay_veth_name], [of?.id, true, of?.overlay_veth_name]);
  };
  await pings();

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
      await start(h1);
      assert.match(await meanwhile, / 0% packet loss/);
      await pings();
      await same();
    }
  });

  await t.step("etcd away: an error at once, and everything goes on", async () => {
    await lab.etcd.kill();
    const begun = performance.now();
    const { stderr } = await d1.try(["run", "--rm", "--network", "blue", IMAGE, "true"]);
    const took = performance.now() - begun;
    assert.match(stderr, /etcd/);
    assert.ok(took < 15_000, `${took} ms`);
    await pings();
    await lab.etcd.start();
  });

  await t.step("then all is as before", async () => {
    await d1.docker("rm", "--force", "c1");
    await d2.docker("rm", "--force", "c2");
    await nothingLeft(lab, before);
  });
});

Deno.test("dockerd does not wait for an agent that was stopped, and waits for one that starts", async (t) => {
  await using stack = new AsyncDisposableStack();
  const { lab, h1, d1, env, start } = await hosts(stack);
  const before = await store(lab);
  const names = ["c1", "c2", "c3"];
  for (const [i, name] of names.entries()) {
    await d1.detached(name, "blue", "sleep 1000", "--restart", "always", "--ip", `10.0.0.1${i}`);
  }
  const running = async () =>
    (await d1.docker("ps", "--format", "{{.Names}}")).split("\n").filter(Boolean).sort();

  await t.step("stopped: dockerd starts at once, without the containers", async () => {
    await d1.stop("SIGKILL");
    await h1.stop();
    await d1.start();
    assert.deepEqual(d1.lines.filter((line) => WAITS.test(line)), [], "dockerd waits for no plugin");
    assert.deepEqual(await running(), []);
    assert.match((await d1.try(["start", "c1"])).stderr, /the agent is stopped: start it/);
    await start(h1);
    for (const name of names) await d1.docker("start", name);
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
      await start(h1);
      await starting;
      await until("the containers run", async (see) => see(await running()).length === names.length);
    },
  );

  await t.step("as after a boot: dockerd calls before etcd has answered the agent", async () => {
    await d1.stop("SIGKILL");
    await h1.kill();
    await lab.etcd.kill();
    h1.launch(env(h1));
    await until("the agent takes calls", async (see) => see(await sockets(h1, "listening")).length > 0);
    const starting = d1.start();
    await until("dockerd has called", async (see) => see(await sockets(h1, "established")).length > 0);
    await lab.etcd.start();
    await h1.ready();
    await starting;
    await until("the containers run", async (see) => see(await running()).length === names.length);
  });

  for (const name of names) await d1.docker("rm", "--force", name);
  await nothingLeft(lab, before);
});
