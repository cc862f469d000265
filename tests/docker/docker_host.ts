/** A dockerd of its own on a host of the lab, that knows the host's agent. */
import { dial } from "../../services/common/http/dial.ts";
import { exchange } from "../../services/common/http/exchange.ts";
import { type Output, Process, run } from "../lab/host.ts";
import type { Environment, OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";

/** The only image: busybox. */
export const IMAGE = "lab/busybox";

/** Debian's, also where another is on the PATH. */
const DOCKER = "/usr/bin/docker", COMPOSE = "/usr/bin/docker-compose", DOCKERD = "/usr/sbin/dockerd";

/** What the host's agent is started with. */
export function withDocker(host: OverlayHost): Environment {
  return {
    ENABLE_DOCKER_PLUGIN: "true",
    STRAND_AGENT_DOCKER_SPEC: `${host.directory}/plugins/sand.json`,
    STRAND_AGENT_DOCKER_SOCKET: `${host.directory}/docker/docker.sock`,
  };
}

/**
 * For a dockerd: each of its containers runs dockerd's program three times more, which spends a quarter of its time on
 * collecting the little garbage of its start.
 */
const GO = { GOGC: "400" };

/** A dockerd in the host's network namespace; its containers are gone when it is disposed of. */
export class DockerHost implements AsyncDisposable {
  private process: Process | undefined;

  private constructor(private readonly host: OverlayHost) {}

  /** Starts one and gives it the image. */
  static async started(host: OverlayHost): Promise<DockerHost> {
    const docker = new DockerHost(host);
    await Deno.mkdir(`${docker.directory}/image/bin`, { recursive: true });
    await Deno.mkdir(`${host.directory}/plugins`, { recursive: true });
    // A dockerd connects to the plugin by the host's name.
    await Deno.writeTextFile(`${docker.directory}/hosts`, `127.0.0.1 localhost ${host.name}\n`);
    // What it mounts there, the agent is to see: the namespaces of containers.
    await run(["mount", "--bind", docker.directory, docker.directory]);
    await run(["mount", "--make-shared", docker.directory]);
    await docker.configure({});
    await docker.start();
    await docker.importImage();
    return docker;
  }

  private get directory(): string {
    return `${this.host.directory}/docker`;
  }

  private get socket(): string {
    return `${this.directory}/docker.sock`;
  }

  /** For its clients. */
  get env(): Environment {
    return {
      DOCKER_HOST: `unix://${this.socket}`,
      DOCKER_CONFIG: this.directory,
      HOME: this.directory,
    };
  }

  /** What it logs. */
  get lines(): readonly string[] {
    return this.process?.lines ?? [];
  }

  /** Starts it and waits until it answers. @returns how long that took, in ms */
  async start(timeoutMs = 90_000): Promise<number> {
    const { directory } = this, started = performance.now();
    // Of one that was killed, and of its containerd, which dies with it: what may have their pids now is not they.
    for (const file of ["pid", "exec/containerd/containerd.pid"]) {
      await Deno.remove(`${directory}/${file}`).catch(() => {});
    }
    const flags = [
      ...["--data-root", `${directory}/data`, "--exec-root", `${directory}/exec`],
      ...["--pidfile", `${directory}/pid`, "--config-file", this.configuration],
      ...["--host", `unix://${this.socket}`, "--bridge=none", "--iptables=false"],
      ...["--shutdown-timeout=1", "--storage-driver=overlay2"],
    ];
    const script = [
      "mount --make-slave / 2>/dev/null || true",
      "mkdir -p /etc/docker/plugins",
      `mount --bind ${this.host.directory}/plugins /etc/docker/plugins`,
      `mount --bind ${directory}/hosts /etc/hosts`,
      `exec ${DOCKERD} "$@"`,
    ].join("\n");
    const command = ["unshare", "--mount", "--propagation=unchanged", "sh", "-ec", script, "sh", ...flags];
    this.process = new Process(this.host.host.enter(command), { env: GO });
    const process = this.process;
    await until(`dockerd of ${this.host.name} answers`, async () => {
      if (!process.alive) throw new Error(`dockerd of ${this.host.name} has ended:\n${process.tail()}`);
      return await this.answers();
    }, timeoutMs).catch((error) => {
      throw new Error(`${error.message}\n${process.tail()}`);
    });
    return performance.now() - started;
  }

  private async answers(): Promise<boolean> {
    const end = await dial({ socket: this.socket }).catch(() => undefined);
    const pong = end &&
      await exchange(end, { method: "GET", target: "/_ping", host: "docker" }).catch(() => {});
    end?.close();
    return pong?.status === 200;
  }

  /** Keeps containers while it is away from now on, or not. */
  async liveRestore(on: boolean): Promise<void> {
    await this.configure({ "live-restore": on });
    this.process?.signal("SIGHUP");
    await until("dockerd has read it", async (see) => {
      return see(await this.docker("info", "--format", "{{.LiveRestoreEnabled}}")) === `${on}`;
    });
  }

  private get configuration(): string {
    return `${this.directory}/daemon.json`;
  }

  private async configure(settings: object): Promise<void> {
    await Deno.writeTextFile(this.configuration, JSON.stringify(settings));
  }

  /** Asks it to end, or kills it. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    await this.process?.stop(signal, 60_000);
  }

  /** Runs `docker ARGS`. @returns what it prints, trimmed */
  async docker(...args: string[]): Promise<string> {
    const { stdout } = await run([DOCKER, ...args], { env: this.env, timeout: 300_000 });
    return stdout.trim();
  }

  /** The same; it may fail. */
  try(args: readonly string[]): Promise<Output> {
    return run([DOCKER, ...args], { env: this.env, mayFail: true, timeout: 300_000 });
  }

  /** Runs `docker-compose ARGS` in a directory of that file. */
  async compose(file: string, ...args: string[]): Promise<string> {
    const path = `${this.directory}/compose/docker-compose.yml`;
    await Deno.mkdir(`${this.directory}/compose`, { recursive: true });
    await Deno.writeTextFile(path, file);
    const env = { ...this.env, PATH: "/usr/bin:/bin" };
    return (await run([COMPOSE, "-f", path, ...args], { env, timeout: 300_000 })).stdout.trim();
  }

  /** Starts a container that stays. */
  detached(name: string, network: string, command: string, ...options: string[]): Promise<string> {
    // What runs as process 1 heeds no other.
    const kill = ["--stop-signal", "KILL"];
    const args = ["--name", name, "--network", network, ...kill, ...options, IMAGE, ...command.split(" ")];
    return this.docker("run", "--detach", ...args);
  }

  /** A shell command in a container. */
  exec(container: string, command: string): Promise<string> {
    return this.docker("exec", container, "sh", "-c", command);
  }

  private async importImage(): Promise<void> {
    const bin = `${this.directory}/image/bin`;
    await Deno.copyFile("/bin/busybox", `${bin}/busybox`);
    for (const applet of ["sh", "ping", "wget", "httpd", "ip", "sleep", "cat", "mkdir", "true"]) {
      await Deno.symlink("busybox", `${bin}/${applet}`);
    }
    await run(["tar", "-C", `${this.directory}/image`, "-cf", `${this.directory}/image.tar`, "."]);
    await this.docker("import", `${this.directory}/image.tar`, IMAGE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process?.alive) {
      const ids = (await this.try(["ps", "--all", "--quiet"])).stdout.split("\n").filter(Boolean);
      if (ids.length) await this.try(["rm", "--force", ...ids]);
    }
    await this.stop();
    await endLeftOvers(`${this.directory}/exec/containerd/daemon/io.containerd.runtime.v2.task/moby`);
  }
}

/** Ends containers and their shims that have outlived their dockerd, each by its pid. */
async function endLeftOvers(tasks: string): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(tasks), ({ name }) => name).catch(() => []);
  const pids = new Set<number>();
  for (const name of names) {
    const pid = Number(await Deno.readTextFile(`${tasks}/${name}/init.pid`).catch(() => "0"));
    if (pid) pids.add(pid);
    const { stdout } = await run(["pgrep", "--full", `containerd-shim.* -id ${name}`], { mayFail: true });
    for (const shim of stdout.split("\n").filter(Boolean)) pids.add(Number(shim));
  }
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // It ended by itself in between.
    }
  }
}
