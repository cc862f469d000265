/** The names and aliases of Docker's containers as names in a network that has settings. */
import assert from "node:assert/strict";
import { until } from "../lab/until.ts";
import { dig, GatewayLab } from "../overlay_names/gateway_lab.ts";
import { DockerHost, IMAGE, withDocker } from "./docker_host.ts";

Deno.test("Docker's containers resolve by name and alias on every host, also after engine or agent were away", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [h1, h2] = [it.host(1), it.host(2)], env = withDocker(h1);
  await h1.stop();
  await h1.start(env);
  await using docker = await DockerHost.started(h1);
  const blue = await it.network("blue", { domain: "blue.example" });
  const plain = await h1.api.createNetwork({ name: "plain", ip_range: "10.1.0.0/24" });
  // Of a network with settings its name will do.
  for (const [name, id] of [["blue", "blue"], ["plain", plain.id]]) {
    const sand = ["--ipam-opt", `sand-id=${id}`, "--opt", `sand-id=${id}`, "--internal"];
    await docker.docker("network", "create", "--driver", "sand", "--ipam-driver", "sand", ...sand, `${name}`);
  }
  const other = await h2.attach(blue, { name: "other" });
  const addressOf = (name: string, network = "blue") =>
    docker.docker("inspect", "--format", `{{.NetworkSettings.Networks.${network}.IPAddress}}`, name);
  /** Waits until exactly these addresses are answered on the other host. */
  const answers = (label: string, ...addresses: string[]) =>
    until(`${label} is ${addresses.join(" and ") || "nothing"}`, async (see) => {
      return see((await dig(other.container, `${label}.blue.example`)).lines.join()) ===
        addresses.sort().join();
    });

  await t.step("a name in any case, and aliases, which containers share", async () => {
    const dns = ["--dns", "10.0.0.1", "--dns-search", "blue.example"];
    const aliases = ["--network-alias", "www", "--network-alias", "app"];
    await docker.detached("Web", "blue", "sleep 1000", ...aliases, ...dns);
    await docker.detached("api", "blue", "sleep 1000", "--network-alias", "app");
    const [web, api] = [await addressOf("Web"), await addressOf("api")];
    await answers("web", web);
    await answers("www", web);
    await answers("app", web, api);
    // Docker's own resolver asks the gateway.
    await until("other is reached by its name", async (see) => {
      const said = see(await docker.exec("Web", "ping -c 1 -W 5 other").catch(String));
      return said.includes(`PING other (${other.address})`) && said.includes(" 0% packet loss");
    });
    const names = (await h1.api.endpoints({ hostname: "h1" })).map(({ name }) => name).sort();
    assert.deepEqual(names, ["api", "web"]);
  });

  await t.step("connected, renamed, disconnected", async () => {
    await docker.detached("late", "plain", "sleep 1000");
    await docker.docker("network", "connect", "--alias", "second", "blue", "late");
    await answers("late", await addressOf("late"));
    await answers("second", await addressOf("late"));
    await docker.docker("rename", "late", "later");
    await answers("later", await addressOf("later"));
    await answers("late");
    await docker.docker("network", "disconnect", "blue", "later");
    await answers("later");
    const [endpoint] = await h1.api.endpoints({ network_id: plain.id });
    assert.equal(endpoint?.name, undefined, "a network without settings has no names");
  });

  await t.step("the first has a name; it is the next one's when it is free", async () => {
    await docker.detached("other", "blue", "sleep 1000");
    await until("status says so", async (see) => {
      return /has no name: other belongs to endpoint \S+ on h2/.test(
        see(await h1.api.status("/readyz")).body,
      );
    });
    await answers("other", other.address);
    await h2.api.deleteEndpoint(other.endpoint.id);
    Object.assign(other, await h2.attach(blue));
    await answers("other", await addressOf("other"));
    await until(
      "status says it no more",
      async (see) => !see((await h1.api.status("/readyz")).body).includes("has no name"),
    );
  });

  await t.step("a container that was connected while the agent was away", async () => {
    await docker.docker("stop", "--time", "0", "Web");
    await h1.kill();
    await docker.docker("rename", "api", "backend");
    await h1.start(env);
    await answers("backend", await addressOf("backend"));
    await answers("api");
    await docker.docker("start", "Web");
    await answers("web", await addressOf("Web"));
  });

  await t.step("dockerd is started again", async () => {
    await docker.stop();
    await h1.agent.line(/Docker's containers are not named now/);
    await docker.start();
    await docker.docker("start", "Web");
    await answers("web", await addressOf("Web"));
    await docker.docker("rename", "Web", "front");
    await answers("front", await addressOf("front"));
  });

  await t.step("a network gets settings later", async () => {
    await docker.docker("start", "later");
    await until("it is there", async () => (await h1.api.endpoints({ network_id: plain.id })).length === 1);
    await it.settings(plain.id, { network: { name: "plain" } });
    await until("it has a name", async (see) => {
      return see(await h1.api.endpoints({ network_id: plain.id }))[0]?.name === "later";
    });
  });

  await t.step("a container may use a further address where its endpoint says so", async () => {
    const allow = (value: string) => `name=blue,"driver-opt=sand-allow=${value}"`;
    await docker.detached(
      "lb",
      allow("10.0.0.99 10.0.0.98,00:00:5e:00:01:09"),
      "sleep 1000",
      "--cap-add",
      "NET_ADMIN",
    );
    const [endpoint] = (await h1.api.endpoints({ network_id: blue })).filter(({ allow }) => allow);
    assert.deepEqual(endpoint?.allow, [
      { address: "10.0.0.99" },
      { address: "10.0.0.98", mac: "00:00:5e:00:01:09" },
    ]);
    const device = (await docker.exec("lb", "ls /sys/class/net")).split(/\s+/).find((name) =>
      /^sand/.test(name)
    );
    await docker.exec("lb", `ip address add 10.0.0.99/24 dev ${device}`);
    await until("it is reached from the other host", async () => {
      await docker.exec("lb", `arping -U -c 1 -I ${device} 10.0.0.99`).catch(() => {});
      return (await other.container.run(["ping", "-c1", "-W1", "10.0.0.99"], { mayFail: true })).code === 0;
    });
    await assert.rejects(
      docker.detached("bad", allow("10.9.0.1"), "sleep 1000"),
      /10\.9\.0\.1 is outside the range/,
    );
    await docker.docker("rm", "--force", "lb");
  });

  await t.step(
    "docker-compose on two hosts: services find each other by name, and what is no container too",
    async () => {
      await h2.stop();
      await h2.start(withDocker(h2));
      await using second = await DockerHost.started(h2);
      await h2.attach(blue, { name: "bare" });
      const file = (service: string) =>
        `version: "2"
services:
  ${service}:
    image: ${IMAGE}
    command: httpd -f -h /bin
    stop_signal: KILL
    dns: [10.0.0.1]
    dns_search: [blue.example]
    networks: [blue]
networks:
  blue:
    driver: sand
    driver_opts: {sand-id: blue}
    ipam: {driver: sand, options: {sand-id: blue}}
`;
      const sides = [{ docker, service: "shop", peer: "store" }, {
        docker: second,
        service: "store",
        peer: "shop",
      }];
      await Promise.all(sides.map(({ docker, service }) => docker.compose(file(service), "up", "--detach")));
      for (const { docker, service, peer } of sides) {
        const container = await docker.docker("ps", "--quiet", "--filter", `name=${service}`);
        for (const name of [peer, `${peer}.blue.example`, "bare"]) {
          await until(`${service} reaches ${name}`, async (see) => {
            return see(await docker.exec(container, `ping -c 1 -W 5 ${name}`).catch(String)).includes(
              " 0% packet loss",
            );
          });
        }
      }
      await Promise.all(
        sides.map(({ docker, service }) => docker.compose(file(service), "down", "--timeout", "1")),
      );
      for (const { service } of sides) await answers(service);
    },
  );

  await t.step("names can be switched off", async () => {
    await h1.stop();
    await h1.start({ ...env, STRAND_AGENT_DOCKER_NAMES: "false" });
    await docker.detached("quiet", "blue", "sleep 1000");
    const address = await addressOf("quiet");
    await until("it is reached", async () => {
      return (await other.container.run(["ping", "-c1", "-W1", address], { mayFail: true })).code === 0;
    });
    assert.doesNotMatch(h1.agent.lines.join("\n"), /Docker's containers/);
    await answers("quiet");
  });
});
