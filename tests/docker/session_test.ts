/** Docker on two hosts with the network plugin: the session of the documentation. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";
import { DockerHost, IMAGE, withDocker } from "./docker_host.ts";

/** Waits until a container has an answer from an address of another host. */
function pinged(docker: DockerHost, container: string, address: string): Promise<void> {
  return until(`${container} reaches ${address}`, () => {
    return docker.exec(container, `ping -c 1 -W 5 ${address}`).then(() => true, () => false);
  });
}

Deno.test("Docker on two hosts: the session that users know, fixed addresses, compose, HTTP across", async (t) => {
  await using lab = await OverlayLab.create();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await Promise.all([h1, h2].map((host) => host.start(withDocker(host))));
  await using stack = new AsyncDisposableStack();
  const started = await Promise.all([h1, h2].map((host) => DockerHost.started(host)));
  const [d1, d2] = started.map((docker) => stack.use(docker));
  assert.ok(d1 && d2);
  /** Without the networks, which are made and deleted by hand, nothing is left. */
  const nothingLeft = async () => {
    await until("nothing is left of it", async () => {
      const found = (await lab.differences()).filter((line) => !/docker_gwbridge/.test(line));
      const keys = [...(await lab.kv.under("/sc-net/")).keys()];
      return found.length === 0 && !keys.some((key) => /endpoints\/|\/nodes|applied/.test(key));
    });
  };

  const created = (await h1.strand(["sand-agent-cli", "network-create"])).stdout;
  const id = /^New network created:\n\* id=([\da-f-]{36}) .* ip-range=10\.0\.0\.0\/24, vni=1$/m.exec(created)
    ?.[1];
  assert.ok(id, created);
  const options = [
    "--driver",
    "sand",
    "--ipam-driver",
    "sand",
    "--ipam-opt",
    `sand-id=${id}`,
    "--opt",
    `sand-id=${id}`,
  ];

  await t.step("docker network create, docker run -it --rm", async () => {
    await Promise.all([d1, d2].map((docker) => docker.docker("network", "create", ...options, "blue")));
    const shown = await d1.docker("run", "--rm", "--network", "blue", IMAGE, "ip", "address");
    assert.match(shown, /: sand0@.* mtu 1450 /);
    assert.match(shown, /link\/ether 02:84:0a:00:00:02 /);
    assert.match(shown, /inet 10\.0\.0\.2\/24 /);
    assert.match(await d1.docker("network", "inspect", "blue"), /"Gateway": "10\.0\.0\.1/);
    await nothingLeft();
  });

  await t.step("containers of two hosts reach each other", async () => {
    await d1.detached("a1", "blue", "sleep 1000");
    await d2.detached("b1", "blue", "httpd -f -h /bin");
    const of = (field: string) =>
      d2.docker("inspect", "--format", `{{.NetworkSettings.Networks.blue.${field}}}`, "b1");
    const address = await of("IPAddress"), mac = await of("MacAddress");
    assert.deepEqual([address, mac], ["10.0.0.4", "02:84:0a:00:00:04"]);
    await pinged(d1, "a1", address);
    // More than the MTU, many times over.
    assert.match(await d1.exec("a1", `wget -q -O - http://${address}/busybox | wc -c`), /^\d{6,}$/);
    const endpoints = await h1.api.endpoints({ network_id: id });
    assert.deepEqual(endpoints.map(({ hostname, active }) => [hostname, active]).sort(), [
      ["h1", true],
      ["h2", true],
    ]);
    // The API reaches into Docker's containers too, through either host.
    for (const host of [h1, h2]) {
      const { stdout, stderr } = await host.strand([
        ...["sand-agent-cli", "curl", "--network", id, `http://${address}/none`],
      ]);
      assert.match(stdout, /404 Not Found/, stderr);
    }
    await d1.docker("rm", "--force", "a1");
    await d2.docker("rm", "--force", "b1");
    await nothingLeft();
  });

  await t.step("--ip and --mac-address", async () => {
    // Docker takes --ip only in networks that are made with --subnet.
    await d1.docker("network", "create", ...options, "--internal", "--subnet", "10.0.0.0/24", "fixed");
    const run = (...args: string[]) =>
      d1.try(["run", "--rm", "--network", "fixed", ...args, IMAGE, "ip", "address"]);
    const { stdout, stderr } = await run("--ip", "10.0.0.77", "--mac-address", "02:00:00:00:00:77");
    assert.match(stdout, /link\/ether 02:00:00:00:00:77 [^]*inet 10\.0\.0\.77\/24 /, stderr);
    assert.doesNotMatch(stdout, /eth0/, "--internal has no way out");
    const taken = await h2.api.createEndpoint(id, { ipv4_address: "10.0.0.78" });
    assert.match((await run("--ip", "10.0.0.78")).stderr, /remote: .*10\.0\.0\.78 .* belongs to endpoint/);
    assert.match((await run("--ip", "10.0.0.1")).stderr, /remote: .*10\.0\.0\.1 .* belongs to the gateway/);
    await h2.api.deleteEndpoint(taken.id);
    await d1.docker("network", "rm", "fixed");
    await nothingLeft();
  });

  await t.step("what is refused is a sentence", async () => {
    const refused = async (message: RegExp, ...args: string[]) => {
      const { code, stderr } = await d1.try(["network", "create", "--driver", "sand", ...args, "wrong"]);
      assert.ok(code === 1 && message.test(stderr), stderr);
    };
    const ours = ["--ipam-driver", "sand", "--ipam-opt", `sand-id=${id}`];
    await refused(/sand-id: missing.*--ipam-opt/, "--ipam-driver", "sand");
    await refused(/sand-id: missing.*--opt sand-id=ID/, ...ours);
    await refused(
      /there is no network/,
      "--ipam-driver",
      "sand",
      "--ipam-opt",
      `sand-id=${crypto.randomUUID()}`,
    );
    await refused(/10\.1\.0\.0\/24 is not 10\.0\.0\.0\/24/, ...options.slice(2), "--subnet", "10.1.0.0/24");
    await refused(/--ip-range/, ...options.slice(2), "--subnet", "10.0.0.0/24", "--ip-range", "10.0.0.0/28");
    await refused(/--gateway/, ...options.slice(2), "--subnet", "10.0.0.0/24", "--gateway", "10.0.0.9");
    await refused(/--ipam-driver sand/, "--subnet", "192.0.2.0/24", "--opt", `sand-id=${id}`);
    const other = await h1.api.createNetwork();
    await refused(/--opt says .* --ipam-opt says/, ...options.slice(2, -1), `sand-id=${other.id}`);
    await h1.api.deleteNetwork(other.id);
    await nothingLeft();
  });

  await t.step("the host has a route into the network's range: Docker does not ask for ever", async () => {
    const route = (what: string) => run(h1.host.enter(["ip", "route", what, "10.0.0.0/28", "dev", "eth0"]));
    await route("add");
    const { code, stderr } = await d1.try(["network", "create", ...options, "near"]);
    // Engines from 27 on take it.
    assert.ok(code === 0 || /again and again, .*: add --subnet 10\.0\.0\.0\/24$/.test(stderr.trim()), stderr);
    if (code === 0) await d1.docker("network", "rm", "near");
    await d1.docker("network", "create", ...options, "--subnet", "10.0.0.0/24", "near");
    await d1.docker("network", "rm", "near");
    await route("delete");
    await nothingLeft();
  });

  await t.step(
    "a running container is connected to a second network, restarted and disconnected",
    async () => {
      const { id: red } = await h1.api.createNetwork({ ip_range: "10.7.0.0/24" });
      const second = options.map((text) => text.replace(id, red));
      await Promise.all([d1, d2].map((docker) => docker.docker("network", "create", ...second, "red")));
      await Promise.all([d1.detached("a1", "blue", "sleep 1000"), d2.detached("b1", "red", "sleep 1000")]);
      await d1.docker("network", "connect", "red", "a1");
      const ping = () => pinged(d1, "a1", "10.7.0.2");
      await ping();
      assert.match(
        (await d1.try(["network", "connect", "red", "a1"])).stderr,
        /already exists in network red/,
      );
      await d1.docker("restart", "--time", "0", "a1");
      await ping();
      await d1.docker("network", "disconnect", "blue", "a1");
      await ping();
      const endpoints = await h1.api.endpoints({ hostname: "h1" });
      assert.deepEqual(endpoints.map(({ network_id, active }) => [network_id, active]), [[red, true]]);
      await d1.docker("rm", "--force", "a1");
      await d2.docker("rm", "--force", "b1");
      await Promise.all([d1, d2].map((docker) => docker.docker("network", "rm", "red")));
      await h1.api.deleteNetwork(red);
      await nothingLeft();
    },
  );

  await t.step("docker-compose up, down", async () => {
    const file = `version: "2"
services:
  web:
    image: ${IMAGE}
    command: httpd -f -h /bin
    networks: [sand]
networks:
  sand:
    driver: sand
    driver_opts: {sand-id: ${id}}
    ipam:
      driver: sand
      options: {sand-id: ${id}}
`;
    await d1.compose(file, "up", "--detach");
    const [endpoint] = await h1.api.endpoints({ hostname: "h1" });
    assert.equal(endpoint?.active, true);
    const page = `http://${endpoint?.target_veth_ip.split("/")[0]}/none`;
    const { stderr } = await d2.try(["run", "--rm", "--network", "blue", IMAGE, "wget", "-O", "-", page]);
    assert.match(stderr, /404 Not Found/);
    await d1.compose(file, "down", "--timeout", "1");
    await nothingLeft();
  });

  await t.step("docker network rm leaves nothing of it, here and in the store", async () => {
    await d1.docker("network", "rm", "blue");
    await d2.docker("network", "rm", "blue");
    await h1.api.deleteNetwork(id);
    await nothingLeft();
    assert.deepEqual([...(await lab.kv.under("/sc-net/")).keys()], []);
  });
});
