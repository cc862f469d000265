/** Debian's podman 4 with its CNI backend, on two hosts that share a network of ours. */
import assert from "node:assert/strict";
import { type Output, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { Runtime } from "./runtime.ts";

const installed = await Promise.all(
  ["bin/podman", "bin/busybox", "sbin/runc"].map((file) => Deno.stat(`/usr/${file}`)),
)
  .then(() => true, () => false);

/** Podman on a host of the lab, with files of its own. */
class Podman implements AsyncDisposable {
  private constructor(private readonly host: OverlayHost, private readonly directory: string) {}

  static async on(host: OverlayHost, network: string): Promise<Podman> {
    // Podman takes no runroot of more than 50 bytes.
    const directory = await Deno.makeTempDir({ prefix: "pod-" }), runtime = await Runtime.on(host);
    await Deno.mkdir(`${directory}/net`, { recursive: true });
    const list = runtime.list(network, "1.0.0", {
      isDefaultGateway: true,
      capabilities: { ips: true, aliases: true },
    }, [{ type: "portmap", capabilities: { portMappings: true } }]);
    await Deno.writeTextFile(`${directory}/net/lab.conflist`, JSON.stringify(list));
    await Deno.writeTextFile(
      `${directory}/containers.conf`,
      `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[network]
network_backend = "cni"
cni_plugin_dirs = [${runtime.path.split(":").map((path) => JSON.stringify(path))}]
network_config_dir = ${JSON.stringify(`${directory}/net`)}
[engine]
# crun takes no machine that has both versions of cgroups.
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`,
    );
    const bin = `${directory}/rootfs/bin`;
    for (const name of ["bin", "proc", "sys", "dev", "etc", "tmp"]) {
      await Deno.mkdir(`${directory}/rootfs/${name}`, { recursive: true });
    }
    await Deno.copyFile("/usr/bin/busybox", `${bin}/busybox`);
    const { stdout } = await run(["ldd", "/usr/bin/busybox"], { mayFail: true });
    for (const [library = ""] of stdout.matchAll(/\/\S+\/\S+\.so\S*/g)) {
      await Deno.mkdir(`${directory}/rootfs${library.slice(0, library.lastIndexOf("/"))}`, {
        recursive: true,
      });
      await Deno.copyFile(library, `${directory}/rootfs${library}`);
    }
    for (const name of ["sh", "ip", "ping", "sleep", "httpd", "wget", "cat", "nslookup"]) {
      await Deno.symlink("busybox", `${bin}/${name}`);
    }
    return new Podman(host, directory);
  }

  run(...args: string[]): Promise<Output> {
    const places = ["root", "runroot", "tmpdir"].map((name) => `--${name}=${this.directory}/${name}`);
    const command = ["podman", ...places, "--storage-driver=vfs", ...args];
    return run(this.host.host.enter(command), {
      env: { CONTAINERS_CONF: `${this.directory}/containers.conf`, DENO_DIR: Deno.env.get("DENO_DIR") ?? "" },
    });
  }

  /** A container that stays. */
  async start(name: string, ...options: string[]): Promise<void> {
    const command = ["--rootfs", `${this.directory}/rootfs`, "sleep", "300"];
    await this.run("run", "--detach", "--name", name, "--network", "lab", ...options, ...command);
  }

  async exec(name: string, ...command: string[]): Promise<string> {
    return (await this.run("exec", name, ...command)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.run("rm", "--force", "--all", "--time", "0");
    } finally {
      await Deno.remove(this.directory, { recursive: true });
    }
  }
}

Deno.test({
  name:
    "CNI: containers of podman on two hosts reach each other; when they are gone, nothing of them is left",
  ignore: !installed,
  async fn() {
    await using lab = await OverlayLab.started();
    const [h1, h2] = [lab.host(1), lab.host(2)];
    const { id } = await h1.api.createNetwork({ name: "blue" });
    // Which addresses a network gave last is kept as long as the network.
    const keys = async () =>
      [...(await lab.kv.under("/sc-net/")).keys()].filter((key) => !key.startsWith("/sc-net/strand/cursor/"));
    const before = await keys();
    {
      await using p1 = await Podman.on(h1, id);
      await using p2 = await Podman.on(h2, "blue");
      await p1.start("a", "--publish", "8080:80");
      await p2.start("b", "--ip", "10.0.0.50", "--mac-address", "02:00:00:00:00:0b");
      const [a, b] = [
        (await h1.api.endpoints({ hostname: "h1" }))[0],
        (await h1.api.endpoints({ hostname: "h2" }))[0],
      ];
      assert.deepEqual([b?.target_veth_ip, b?.target_veth_mac], ["10.0.0.50/24", "02:00:00:00:00:0b"]);
      const address = "10.0.0.50";
      await until(
        "b is reached",
        () => p1.exec("a", "ping", "-c", "1", "-W", "1", address).then(() => true, () => false),
      );
      const inspected = JSON.parse((await p1.run("inspect", "a")).stdout) as [
        {
          NetworkSettings: { Networks: { lab: { IPAddress: string; MacAddress: string; Gateway: string } } };
        },
      ];
      const shown = inspected[0].NetworkSettings.Networks.lab;
      assert.deepEqual([`${shown.IPAddress}/24`, shown.MacAddress, shown.Gateway], [
        a?.target_veth_ip,
        a?.target_veth_mac,
        "10.0.0.1",
      ]);
      assert.match(await p1.exec("a", "ip", "route"), /default via 10\.0\.0\.1 dev eth0/);
      // Its published port, from elsewhere and from the host itself.
      await p1.exec("a", "sh", "-c", "echo a greets >/tmp/index.html; httpd -p 80 -h /tmp");
      for (const [from, to] of [[h2, h1.ip], [h1, "127.0.0.1"]] as const) {
        const { stdout } = await from.host.run(["curl", "-s", "--max-time", "5", `http://${to}:8080/`]);
        assert.equal(stdout, "a greets\n");
      }
      await p2.run("stop", "--time", "0", "b");
      await until(
        "b has no endpoint",
        async (see) => see(await h2.api.endpoints({ hostname: "h2" })).length === 0,
      );
      await p2.run("start", "b");
      assert.equal((await h2.api.endpoints({ hostname: "h2" }))[0]?.target_veth_mac, "02:00:00:00:00:0b");
      for (let i = 0; i < 3; i++) {
        await p1.start(`c${i}`);
        await p1.run("rm", "--force", "--time", "0", `c${i}`);
      }
    }
    assert.deepEqual(await h1.api.endpoints(), []);
    assert.deepEqual(await keys(), before);
    await lab.agree();
  },
});

Deno.test({
  name: "CNI: containers of podman find each other by their names on two hosts",
  ignore: !installed,
  async fn() {
    await using it = await GatewayLab.started({ hosts: 2 });
    const [h1, h2] = [it.host(1), it.host(2)];
    const id = await it.network("blue", { domain: "blue.example" });
    await using p1 = await Podman.on(h1, id);
    await using p2 = await Podman.on(h2, "blue");
    await p1.start("web", "--network-alias", "both", "--network-alias", "Front");
    await p2.start("DB_1", "--network-alias", "both");
    const endpoints = await h1.api.endpoints();
    assert.deepEqual(endpoints.map(({ name }) => name).sort(), ["db_1", "web"]);
    const addressOf = (name: string) =>
      endpoints.find((one) => one.name === name)?.target_veth_ip.split("/")[0];
    assert.match(
      await p1.exec("web", "cat", "/etc/resolv.conf"),
      /search blue\.example\n(.*\n)*nameserver 10\.0\.0\.1\n/,
    );
    for (const [podman, from, to] of [[p1, "web", "db_1"], [p2, "DB_1", "web"]] as const) {
      await until(`${from} finds ${to}`, async (see) => {
        const said = await podman.exec(from, "ping", "-c", "1", "-W", "1", to).catch(({ message }) =>
          `${message}`
        );
        return see(said).includes(`PING ${to} (${addressOf(to)})`);
      });
    }
    // An alias is what several have: all of their addresses are answered.
    const answer = await p1.exec("web", "nslookup", "both.blue.example", "10.0.0.1");
    const own = [addressOf("web"), addressOf("db_1")].sort();
    assert.deepEqual(
      [...answer.matchAll(/^Address[ \d]*: *(10\.0\.0\.\d+)$/gm)].map(([, ip]) => ip).sort(),
      own,
    );
    assert.deepEqual(endpoints.map(({ aliases }) => aliases).sort(), [["both"], ["both", "front"]]);
    // Podman takes no name twice on a host; another host's container has it first.
    await p2.start("web");
    assert.match(
      (await h2.strand(["status", "agent"])).stdout,
      /has no name: web belongs to endpoint \S+ on h1/,
    );
    await p1.run("rm", "--force", "--time", "0", "web");
    await p2.run("restart", "--time", "0", "web");
    assert.deepEqual((await h1.api.endpoints()).map(({ name }) => name).sort(), ["db_1", "web"]);
  },
});
