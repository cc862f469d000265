/** The container image, built and run by a dockerd of its own. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";
import { keptBetweenRuns } from "../lab/shared.ts";
import { composeSession } from "./compose.ts";
import { distribution, inMemory } from "./distribution.ts";
import { Docker } from "./docker.ts";

const deploy = fileURLToPath(new URL("../../deploy/", import.meta.url));

async function installed(...programs: string[]): Promise<boolean> {
  const found = await run(["sh", "-c", 'for p; do command -v "$p" || exit 1; done', "sh", ...programs], {
    mayFail: true,
  });
  return found.code === 0;
}

/** Of capabilities by their numbers in capability.h. */
function maskOf(...numbers: readonly number[]): bigint {
  return numbers.reduce((mask, number) => mask | 1n << BigInt(number), 0n);
}

Deno.test({
  name:
    "image: built without a registry, each service with its own capabilities alone, and the whole demo in it",
  ignore: !await installed("dockerd", "docker", "mmdebstrap"),
  async fn(t) {
    await using made = await distribution();
    await using docker = await Docker.started();
    const build = (base: string) =>
      run(inMemory('"$@"', `${deploy}image/build.sh`, made.tarball, base), {
        env: docker.env,
        timeout: 600_000,
      });
    // Where there is no base of this week yet, the first build makes it, as each does that is told of none.
    const script = await Deno.readTextFile(`${deploy}image/build.sh`);
    let built = false;
    const kept = await keptBetweenRuns("base", script, async (directory) => {
      await build(`${directory}/base.tar`);
      built = true;
    });
    if (!built) await build(`${kept}/base.tar`);
    const none = ["run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none"];
    assert.equal(await docker.run(...none, "strand", "--version"), `strand ${version}`);
    assert.equal(await docker.run(...none, "--entrypoint", "id", "strand", "--user", "--name"), "strand");
    // Where it can only be read, SQLite reads such a file with the two that it has beside it, and else not at all.
    for (const cache of ["services", "host", "commands"]) {
      const compiled = await docker.run(
        ...none,
        "--entrypoint",
        "ls",
        "strand",
        `/var/cache/strand/${cache}`,
      );
      assert.match(compiled, /^v8_code_cache_v2\nv8_code_cache_v2-shm\nv8_code_cache_v2-wal$/m);
    }

    const data = ["--tmpfs", "/data:uid=990", "--env", "STRAND_ETCD_DATA_DIR=/data/etcd"];
    await docker.service("names", "none", [], ...data, "strand", "up");
    const applied = await docker.run("exec", "names", "nex", "apply", "/opt/strand/examples/mini.yml");
    assert.match(applied, /member foxtrot\.mini\.net created$/);
    const pid = await docker.pidOf("names");
    const inside = ["nsenter", `--net=/proc/${pid}/ns/net`, "ip"];
    await run([...inside, "link", "add", "eth1", "type", "veth", "peer", "name", "eth2"]);
    await run([...inside, "address", "add", "10.0.0.1/24", "dev", "eth1"]);
    for (const device of ["eth1", "eth2"]) await run([...inside, "link", "set", device, "up"]);
    const root = ["--user", "root"], here = "container:names";
    const dhcp = ["NET_RAW", "NET_BIND_SERVICE"], interfaces = ["--env", "STRAND_DHCPD_INTERFACES=eth1"];
    const overlay = ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_ADMIN"];
    const places = ["--tmpfs", "/run", "--tmpfs", "/var/lib/strand", "--env", "PEER_IP=10.0.0.1"];
    await Promise.all([
      docker.service("dhcp", here, dhcp, ...root, ...interfaces, "strand", "dhcpd"),
      docker.service("agent", here, overlay, ...root, ...places, "strand", "agent"),
    ]);
    assert.match(
      await docker.run("exec", "agent", "sand-agent-cli", "network-create", "--name", "t"),
      /vni=1$/,
    );

    await t.step("each has its capabilities and no other", async () => {
      for (
        const [name, mask] of [["names", 0n], ["dhcp", maskOf(10, 13)], [
          "agent",
          maskOf(10, 12, 13, 21),
        ]] as const
      ) {
        const hex = mask.toString(16).padStart(16, "0");
        assert.deepEqual(await docker.capabilities(name), [hex, hex], name);
      }
    });

    await t.step("none is healthy while etcd does not answer, each is again when it does", async () => {
      const all = ["names", "dhcp", "agent"];
      const etcd = (await run(["pgrep", "--parent", pid, "--exact", "etcd"])).stdout.trim();
      await run(["kill", "-STOP", etcd]);
      await docker.health(all, "unhealthy").finally(() => run(["kill", "-CONT", etcd]));
      await docker.health(all, "healthy");
    });

    await t.step("SIGTERM ends each with code 0", async () => {
      for (const name of ["dhcp", "agent", "names"]) assert.equal(await docker.stop(name), 0, name);
    });

    await t.step("a wrong command, and a wrong value, are refused in a sentence", async () => {
      const refused = async (...args: string[]) => {
        const { code, stderr } = await run(["docker", ...none, ...args], { env: docker.env, mayFail: true });
        return `${code} ${stderr}`;
      };
      assert.equal(await refused("strand", "dnsdd"), '2 strand: no command "dnsdd"; did you mean "dnsd"?\n');
      assert.match(
        await refused("--env", "STRAND_ETCD_ENDPOINTS=htp://x", "strand", "nexd"),
        /^1 strand nexd: STRAND_ETCD_ENDPOINTS: [^\n]+\n$/,
      );
      assert.match(
        await refused("--env", "PEER_IP=127.0.0.1", "strand", "agent"),
        /^1 [^]*strand agent: this process may not make network namespaces: [^\n]+CAP_SYS_ADMIN\n$/,
      );
    });

    const capabilities = [...overlay, "DAC_OVERRIDE"].flatMap((name) => ["--cap-add", name]);
    const free = ["--security-opt", "seccomp=unconfined", "--volume", "/sys:/sys:ro", "--tmpfs", "/run"];
    const demo = [...none.filter((flag) => flag !== "--read-only"), ...root, ...capabilities, ...free];
    assert.match(await docker.run(...demo, "strand", "demo", "--once"), /nothing is left behind\.$/);

    await t.step({
      name:
        "deploy/compose: eleven containers, a lease, names from both dnsd and at a gateway, a network that outlives its agent",
      ignore: !await installed("docker-compose"),
      fn: () => composeSession(docker),
    });
  },
});
