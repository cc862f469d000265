/** Docker's containers whose host had a SAND agent before, and the plugin over HTTPS. */
import assert from "node:assert/strict";
import { certificates } from "../lab/certificates.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";
import { DockerHost, IMAGE, withDocker } from "./docker_host.ts";

Deno.test("Docker's containers are taken over from an old agent, and follow the network's MTU", async (t) => {
  await using lab = await OverlayLab.create({ hosts: 1, mtu: 9000 });
  const h1 = lab.host(1), env = { ...withDocker(h1), STRAND_AGENT_CHECK_EVERY: "1" };
  await h1.start(env);
  await using docker = await DockerHost.started(h1);
  const { id } = await h1.api.createNetwork();
  const sand = ["--ipam-opt", `sand-id=${id}`, "--opt", `sand-id=${id}`, "--internal"];
  await docker.docker("network", "create", "--driver", "sand", "--ipam-driver", "sand", ...sand, "blue");
  await docker.detached("c1", "blue", "sleep 1000");
  const link = () => docker.exec("c1", "ip -o address show; ip -o link show");
  const records = async () => {
    const all = await lab.kv.under("/sc-net/");
    return [...all].filter(([key]) => /\/(node|network)-endpoints\//.test(key));
  };
  const marked = async () =>
    (await records()).filter(([, value]) => value.includes('"strand_docker"')).length;

  for (const path of ["with the sandbox's path", "without a path", "with the sandbox's path, after a hold"]) {
    await t.step(`a record that an old agent has written, ${path}`, async () => {
      const before = await link();
      assert.match(before, /sand0.* mtu 8950 /);
      await h1.stop();
      for (const [key, value] of await records()) {
        const { strand_docker: _, ...old } = JSON.parse(value);
        if (path === "without a path") old.target_netns_path = "";
        await lab.kv.write({ [key]: JSON.stringify(old) });
      }
      if (path.endsWith("after a hold")) {
        const state = `${h1.directory}/state/h1_sc-net.json`;
        const known = JSON.parse(await Deno.readTextFile(state));
        await Deno.writeTextFile(state, JSON.stringify({ ...known, revision: known.revision + 1e9 }));
        h1.launch(env);
        await until("h1 is on hold", async () => {
          return (await h1.api.status("/readyz").catch(() => undefined))?.body.includes("on hold") === true;
        });
        assert.equal(await marked(), 0, "nothing is written during the hold");
        assert.match((await h1.strand(["agent", "release"])).stdout, /^released/);
      } else await h1.start(env);
      assert.equal(await marked(), 2);
      assert.equal((await h1.api.endpoints()).length, 1);
      assert.equal(await link(), before, "Docker's interface is as Docker has made it");
    });
  }

  await t.step("a host that can have less joins: the container's interface follows", async () => {
    await docker.docker("rm", "--force", "c1");
    await docker.detached("c1", "blue", "sleep 1000");
    const key = `/sc-net/nodes-networks/${id}/old`;
    await lab.kv.write({ [key]: JSON.stringify({ id, created_at: "2026-01-01T00:00:00Z", mtu: 1400 }) });
    await until("its MTU is 1400", async (see) => / sand0.* mtu 1400 /.test(see(await link())));
    await lab.kv.write({ [key]: undefined });
    await until("its MTU is 8950", async (see) => / sand0.* mtu 8950 /.test(see(await link())));
  });

  await t.step(
    "a container starts while another program removes br0 as often as the agent makes it",
    async () => {
      // The network stays on this host.
      await docker.detached("c2", "blue", "sleep 1000");
      await docker.docker("rm", "--force", "c1");
      const remove = "while :; do ip link del br0 2>/dev/null; done";
      const within = ["nsenter", `--net=${h1.namespaceOf(id)}`, "timeout", "0.5", "sh", "-c", remove];
      const removing = run(within, { mayFail: true });
      await docker.detached("c1", "blue", "sleep 1000").finally(() => removing);
      await until(
        "it is in the network",
        () => docker.exec("c1", "ping -c 1 -w 1 10.0.0.1").then(() => true, () => false),
      );
      await docker.docker("rm", "--force", "c2");
    },
  );

  await t.step("docker inspect, docker network inspect", async () => {
    const [{ NetworkSettings: { Networks: { blue } } }] = JSON.parse(await docker.docker("inspect", "c1"));
    const [endpoint] = await h1.api.endpoints({ hostname: "h1" });
    assert.deepEqual([blue.IPAddress, blue.IPPrefixLen, blue.MacAddress], [
      endpoint?.target_veth_ip.split("/")[0],
      24,
      endpoint?.target_veth_mac,
    ]);
    const record = (await records()).map(([, value]) => JSON.parse(value))[0];
    assert.deepEqual(record.strand_docker, { network: blue.NetworkID, endpoint: blue.EndpointID });
    assert.match(await docker.docker("network", "inspect", "blue"), new RegExp(blue.EndpointID));
  });

  await t.step("a network that others have deleted goes from Docker too", async () => {
    await docker.docker("rm", "--force", "c1");
    await h1.api.deleteNetwork(id);
    assert.match(
      (await docker.try(["run", "--rm", "--network", "blue", IMAGE, "true"])).stderr,
      /there is no network/,
    );
    await docker.docker("network", "rm", "blue");
    await until("nothing is left", async (see) => see(await lab.kv.under("/sc-net/")).size === 0);
  });
});

Deno.test("with HTTPS Docker shows the agent's certificate, and no client without one is answered", async () => {
  await using lab = await OverlayLab.create({ hosts: 1 });
  await using certs = await certificates();
  const host = lab.host(1);
  await host.start({
    ...withDocker(host),
    // The name that the certificate is for.
    PEER_HOSTNAME: "localhost",
    HTTP_TLS_CERT: certs.path("server"),
    HTTP_TLS_KEY: `${certs.dir}/server-key.pem`,
    HTTP_TLS_CA: certs.path("ca"),
  });
  await using docker = await DockerHost.started(host);
  const client = ["--ca-file", certs.path("ca"), "--cert-file", certs.path("client")];
  const { stdout } = await host.strand([
    ...["sand-agent-cli", "--api-url", "https://localhost:9999", "--key-file", `${certs.dir}/client-key.pem`],
    ...[...client, "network-create"],
  ]);
  const id = /id=([\da-f-]{36})/.exec(stdout)?.[1];
  assert.ok(id, stdout);
  const sand = ["--ipam-opt", `sand-id=${id}`, "--opt", `sand-id=${id}`, "--internal"];
  await docker.docker("network", "create", "--driver", "sand", "--ipam-driver", "sand", ...sand, "blue");
  assert.match(
    await docker.docker("run", "--rm", "--network", "blue", IMAGE, "ip", "address"),
    /inet 10\.0\.0\.2\/24/,
  );
  await docker.docker("network", "rm", "blue");
  const requested = async (...shown: string[]) => {
    const command = [
      "openssl",
      "s_client",
      "-quiet",
      "-connect",
      "localhost:9998",
      "-CAfile",
      certs.path("ca"),
    ];
    const stdin = "POST /Plugin.Activate HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    return (await host.host.run([...command, ...shown], { stdin, mayFail: true })).stdout;
  };
  assert.match(
    await requested("-cert", certs.path("client"), "-key", `${certs.dir}/client-key.pem`),
    /"NetworkDriver"/,
  );
  assert.doesNotMatch(await requested(), /HTTP/);
});
