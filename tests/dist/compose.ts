import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lab, run } from "../lab/host.ts";
import { udhcpc } from "../lab/udhcpc.ts";
import { until } from "../lab/until.ts";
import type { Docker } from "./docker.ts";

const folder = fileURLToPath(new URL("../../deploy/compose/", import.meta.url));

/** A host on the LAN of deploy/compose, and a session with what runs there, which goes on until its dockerd ends. */
export async function composeSession(docker: Docker): Promise<void> {
  // Where the machine has no default route, the VTEP is to be named.
  const env = { ...docker.env, VTEP: "10.0.0.1" };
  const compose = async (...args: readonly string[]) =>
    (await run(["docker-compose", "--project-directory", folder, "--file", `${folder}compose.yml`, ...args], {
      env,
      timeout: 300_000,
    })).stdout.trim();
  // docker-compose, in Python, takes a second of a processor for each call that docker does at once.
  const container = (service: string) =>
    docker.run("ps", "--quiet", "--filter", `label=com.docker.compose.service=${service}`);
  const inside = async (service: string, command: readonly string[], stdin?: string) => {
    const options = { env, timeout: 300_000, ...stdin !== undefined && { stdin } };
    const exec = ["docker", "exec", "--interactive", await container(service), ...command];
    return (await run(exec, options)).stdout.trim();
  };

  await compose("up", "--detach");
  await healthy(docker, 11);
  const spec = await Deno.readTextFile(`${folder}lan.yml`);
  assert.match(
    await inside("nexd-1", ["nex", "apply", "-"], spec),
    /member whiskey\.lan\.example created$/,
  );
  await until(
    "the other nexd knows it",
    async () =>
      (await inside("nexd-2", ["nex", "get", "members", "lan"])).startsWith(
        "00:00:11:11:00:01 whiskey.lan.example 10.0.0.10",
      ),
  );

  await using lab = await Lab.create("compose");
  const client = await lab.host("client");
  const wire = ["link", "add", "eth0", "address", "00:00:11:11:00:01", "type", "veth"];
  await run(["ip", "-n", client.netns, ...wire, "peer", "name", "wire", "netns", `${docker.pid}`]);
  await run(docker.beside("ip", "link", "set", "wire", "master", "strand-lan", "up"));
  await client.run(["ip", "link", "set", "eth0", "up"]);
  const lease = await client.run(udhcpc);
  assert.match(lease.stdout + lease.stderr, /lease of 10\.0\.0\.10 obtained from 10\.0\.0\.[23],/);
  await client.run(["ip", "address", "add", "10.0.0.10/24", "dev", "eth0"]);
  for (
    const [server, question, answer] of [
      ["10.0.0.4", ["whiskey.lan.example"], "10.0.0.10"],
      ["10.0.0.5", ["-x", "10.0.0.10"], "whiskey.lan.example."],
    ] as const
  ) {
    await until(`${server} answers ${answer}`, async (see) => {
      const { stdout } = await client.run(["dig", "+short", `@${server}`, ...question], { mayFail: true });
      return see(stdout).trim() === answer;
    });
  }

  const created = await inside("agent", ["sand-agent-cli", "network-create", "--name", "blue"]);
  const [, id = ""] = /id=(\S+)/.exec(created) ?? [];
  const netns = "/run/netns/c1";
  await run(docker.beside("sh", "-ec", `: >${netns}; unshare --net=${netns} true`));
  await inside("agent", ["sand-agent-cli", "endpoint-create", "--network", id, "--ns", netns]);
  const names = "kind: Network\nname: green\nsubnet4: 10.8.0.0/24\ndomain: green.example\noverlay: {}\n";
  await inside("nexd-1", ["strand", "apply", "-"], names);
  await run(docker.beside("sh", "-ec", ": >/run/netns/c2; unshare --net=/run/netns/c2 true"));
  await inside("agent", ["strand", "attach", "green", "--ns", "/run/netns/c2", "--name", "web"]);
  const dig = ["dig", "@10.8.0.1", "+short", "web.green.example"];
  await until(
    "the gateway knows the container's name",
    async (see) =>
      see((await run(docker.beside("nsenter", "--net=/run/netns/c2", ...dig), { mayFail: true })).stdout)
        .trim() === "10.8.0.2",
  );
  // The network outlives the agent's container.
  const agent = await container("agent");
  await docker.run("stop", agent);
  await docker.run("rm", agent);
  const left = await run(docker.beside("nsenter", `--net=/run/netns/sc-ns-${id}`, "ip", "-brief", "link"));
  assert.match(left.stdout, /^br0 +UP[^]*^vxlan0@/m);
  await compose("up", "--detach");
  const next = await container("agent");
  await until(
    "the next agent is ready",
    async () => (await run(["docker", "exec", next, "healthcheck"], { env, mayFail: true })).code === 0,
  );
  const active = /\[ACTIVE\] .*NS=\/run\/netns\/c1/;
  const list = ["sand-agent-cli", "endpoint-list", "--network", id];
  await until(
    "the next agent has the endpoint",
    async (see) => active.test(see(await inside("agent", list).catch(String))),
  );
}

async function healthy(docker: Docker, count: number): Promise<void> {
  let seen = "";
  const all = async () => {
    seen = await docker.run(
      "ps",
      "--all",
      "--format",
      "{{.Names}} {{.Status}}",
      "--filter",
      "label=com.docker.compose.project",
    );
    return seen.split("\n").filter((line) => line.endsWith("(healthy)")).length === count;
  };
  await until(`${count} containers are healthy`, () => docker.atChange(all), 300_000).catch(async (error) => {
    const others = seen.split("\n").filter((line) => !line.endsWith("(healthy)"));
    const about = await Promise.all(others.map((line) => docker.about(line.split(" ", 1)[0] ?? "")));
    throw new Error([`${error.message}:`, seen, ...about].join("\n"));
  });
}
