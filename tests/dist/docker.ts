import assert from "node:assert/strict";
import { delay } from "../../services/common/async.ts";
import { messageOf } from "../../services/common/refusal.ts";
import { Process, run } from "../lab/host.ts";
import { until } from "../lab/until.ts";

/** A dockerd with a directory and a network namespace of its own, without a bridge or rules for packets. */
export class Docker implements AsyncDisposable {
  /** Aborted, and replaced, when a container's health has changed. */
  private changed = new AbortController();
  private events: Process | undefined;

  private constructor(readonly directory: string, private readonly process: Process) {}

  static async started(): Promise<Docker> {
    const directory = await Deno.makeTempDir({ prefix: "strand-image-" });
    await Deno.writeTextFile(`${directory}/none.json`, "{}");
    const flags = [
      ...[
        "--data-root",
        `${directory}/data`,
        "--exec-root",
        `${directory}/exec`,
        "--pidfile",
        `${directory}/pid`,
      ],
      ...["--config-file", `${directory}/none.json`, "--host", `unix://${directory}/sock`],
      ...["--bridge=none", "--iptables=false", "--shutdown-timeout=1", "--storage-driver=overlay2"],
    ];
    await Deno.mkdir(`${directory}/data`);
    // Its mounts go with it: what compose's containers share with their machine is not this machine's. Images and containers
    // are in memory, where nothing waits for a disk that has written them.
    const script = [
      "ip link set lo up",
      ...["/run", "/var/lib", `${directory}/data`].map((path) => `mount -t tmpfs tmpfs ${path}`),
      "mount --make-rshared /",
      'exec /usr/sbin/dockerd "$@"',
    ].join("\n");
    const command = ["unshare", "--mount", "--net", "sh", "-ec", script, "sh", ...flags];
    const process = new Process(command);
    const docker = new Docker(directory, process);
    await until("dockerd answers", async () => {
      assert.ok(process.alive, process.tail());
      return (await run(["docker", "version"], { env: docker.env, mayFail: true })).code === 0;
    }, 120_000);
    docker.events = new Process(["docker", "events", "--filter", "event=health_status"], {
      env: docker.env,
      onLine: () => docker.wake(),
    });
    return docker;
  }

  get env(): Record<string, string> {
    return { DOCKER_HOST: `unix://${this.directory}/sock`, DOCKER_CONFIG: this.directory };
  }

  get pid(): number {
    return this.process.pid;
  }

  /** A command line that runs in its network, and sees its mounts. */
  beside(...command: string[]): string[] {
    return ["nsenter", `--target=${this.pid}`, "--net", "--mount", ...command];
  }

  async run(...args: string[]): Promise<string> {
    return (await run(["docker", ...args], { env: this.env, timeout: 300_000 })).stdout.trim();
  }

  /** Starts a service with a read-only root and no capability but these, and waits until it is healthy. */
  async service(
    name: string,
    network: string,
    capabilities: readonly string[],
    ...args: string[]
  ): Promise<void> {
    const caps = capabilities.flatMap((name) => ["--cap-add", name]);
    const flags = ["--detach", "--read-only", "--cap-drop", "ALL", ...caps, "--network", network];
    // As in the image, but looked at more often. Each look at `up` is a start of Strand.
    const health = ["--health-interval", "2s", "--health-retries", "1"];
    await this.run("run", "--name", name, ...flags, ...health, ...args);
    await this.until(`${name} is healthy`, [name], async () => {
      const state = await this.run("inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", name);
      // A check of a busy machine may come too late: what counts is that the container gets healthy.
      assert.match(state, /^running /, `${name}: ${state}`);
      return state.endsWith(" healthy");
    });
  }

  /** Waits until all of these are in this state. */
  async health(names: readonly string[], state: "healthy" | "unhealthy"): Promise<void> {
    await this.until(`${names.join(" and ")} are ${state}`, names, async () => {
      const seen = await this.run("inspect", "--format", "{{.State.Health.Status}}", ...names);
      return seen.split("\n").every((line) => line === state);
    });
  }

  /** Waits until something is so of these containers; throws with what they wrote, and their last health checks. */
  async until(what: string, names: readonly string[], holds: () => Promise<boolean>): Promise<void> {
    try {
      await until(what, () => this.atChange(holds), 120_000);
    } catch (error) {
      throw new Error(
        `${messageOf(error)}\n${(await Promise.all(names.map((name) => this.about(name)))).join("\n")}`,
      );
    }
  }

  /** Looks whether something holds that follows from containers' health; if not, waits for a change of it, for some seconds at most. */
  async atChange(holds: () => Promise<boolean>): Promise<boolean> {
    const { signal } = this.changed;
    if (await holds()) return true;
    await delay(3000, signal);
    return false;
  }

  /** What a container wrote last, and what its last health checks said. */
  async about(name: string): Promise<string> {
    const state = await this.tryRun("inspect", "--format", "{{json .State}}", name);
    return `--- ${name}: ${state}\n${await this.tryRun("logs", "--tail", "50", name)}`;
  }

  /** Both of what a command wrote, with any exit status. */
  private async tryRun(...args: string[]): Promise<string> {
    const { stdout, stderr } = await run(["docker", ...args], { env: this.env, mayFail: true });
    return (stdout + stderr).trim();
  }

  /** The process that is a container, as this machine knows it. */
  async pidOf(name: string): Promise<string> {
    return await this.run("inspect", "--format", "{{.State.Pid}}", name);
  }

  /** What a container's process may do at most, and does: CapBnd and CapEff of proc(5). */
  async capabilities(name: string): Promise<readonly string[]> {
    const status = await Deno.readTextFile(`/proc/${await this.pidOf(name)}/status`);
    return [...status.matchAll(/^Cap(?:Eff|Bnd):\t(\w+)$/gm)].map(([, mask = ""]) => mask);
  }

  /** Ends a container as an orchestrator does; returns its exit code. It has the ten seconds of `docker stop`. */
  async stop(name: string): Promise<number> {
    await this.run("kill", "--signal", "TERM", name);
    return Number((await run(["docker", "wait", name], { env: this.env, timeout: 120_000 })).stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ids = await this.run("ps", "--all", "--quiet").catch(() => "");
    if (ids) await this.run("rm", "--force", ...ids.split("\n"));
    await this.events?.stop();
    await this.process.stop("SIGTERM", 30_000);
    await Deno.remove(this.directory, { recursive: true });
  }

  private wake(): void {
    const { changed } = this;
    this.changed = new AbortController();
    changed.abort();
  }
}
