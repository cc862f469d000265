/** Throw-away etcd members for tests: on free loopback ports, in a directory of their own, gone with `dispose`. */
import { deadline } from "../../services/common/async.ts";
import { etcdBinary } from "../../services/store/etcd_process.ts";
import { freePort } from "./free_port.ts";
import { requestIn } from "./http_in.ts";
import { RUN_DIRECTORY } from "./shared.ts";

export interface LabEtcdOptions {
  /** Further arguments for etcd, like `--cert-file=…`. */
  readonly args?: readonly string[];
  /** `https` when the arguments make it serve TLS. */
  readonly scheme?: "http" | "https";
  /** Where its data goes; a new directory by default, on a real disk. */
  readonly dir?: string;
  /** Pins it to this CPU. */
  readonly cpu?: number;
  /** Where it runs, in place of this host's loopback; one member only. */
  readonly inside?: InsideOptions;
}

/** A network namespace in which an etcd runs. */
export interface InsideOptions {
  /** A descriptor of it, open as long as etcd runs. */
  readonly namespace: number;
  /** An address of it, on which etcd listens at port 2379. */
  readonly address: string;
  /** A command line that runs in there. */
  enter(command: readonly string[]): string[];
}

/** The name and the URLs of a member. */
interface MemberUrls {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly metrics: string;
}

/** An etcd that the test did not end does not run any more. */
export class EndedByItself extends Error {}

/** How long it may take to end after a signal, and to stand still after SIGSTOP, on a busy machine with a slow disk, in ms. */
const END_MS = 60_000, STOP_MS = 60_000;

/** One member. Its ports and data stay the same across restarts. */
export class LabEtcd implements AsyncDisposable {
  #child: Deno.ChildProcess | undefined;
  /** How the present child ended, once it has. */
  #ended: Deno.CommandStatus | undefined;

  constructor(
    readonly urls: MemberUrls,
    readonly dir: string,
    private readonly cluster: string,
    private readonly options: LabEtcdOptions,
  ) {}

  get endpoint(): string {
    return this.urls.client;
  }

  get pid(): number {
    if (!this.#child) throw new Error(`${this.urls.name} is not running`);
    return this.#child.pid;
  }

  /** Starts it; resolves when it answers and has a leader. */
  async start(): Promise<void> {
    this.launch();
    await this.healthy();
  }

  /** Starts it without waiting for it. @param more Arguments for this time only. */
  launch(more: readonly string[] = []): void {
    const { name, client, peer, metrics } = this.urls;
    const args = [
      `--name=${name}`,
      `--data-dir=${this.dir}/${name}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--listen-metrics-urls=${metrics}`,
      `--initial-cluster=${this.cluster}`,
      "--heartbeat-interval=50",
      "--election-timeout=500",
      "--logger=zap",
      "--log-outputs=stderr",
      "--log-level=warn",
      // The tests beside it keep the disk busy, which would make each write wait; what is written outlives a kill all the same.
      ...(Deno.env.has(RUN_DIRECTORY) ? ["--unsafe-no-fsync"] : []),
      ...(this.options.args ?? []),
      ...more,
    ];
    const pin = this.options.cpu === undefined ? [] : ["taskset", "-c", `${this.options.cpu}`];
    const command = [...pin, this.binary, ...args];
    // However the test ends, its etcd ends with it.
    const killed = ["setpriv", "--pdeathsig=KILL", ...(this.options.inside?.enter(command) ?? command)];
    Deno.mkdirSync(this.dir, { recursive: true });
    const logged = ["-c", 'exec "$@" 2>>"$0"', this.#log, ...killed];
    const child = new Deno.Command("sh", { args: logged, stdin: "null", stdout: "null" }).spawn();
    this.#child = child;
    this.#ended = undefined;
    void child.status.then((status) => {
      if (this.#child === child) this.#ended = status;
    });
  }

  get #log(): string {
    return `${this.dir}/${this.urls.name}.log`;
  }

  /** The states of its threads, as /proc has them. */
  states(): string {
    if (this.#ended) return `ended (${this.#ended.signal ?? `status ${this.#ended.code}`})`;
    return this.#child ? statesOf(this.#child.pid).join(" ") : "not running";
  }

  /** What it wrote last: warnings and errors. */
  async tail(lines = 20): Promise<string> {
    const text = await Deno.readTextFile(this.#log).catch(() => "");
    return text.trimEnd().split("\n").slice(-lines).join("\n");
  }

  binary = "";

  /** True while it is its cluster's leader, as it says itself. */
  async leads(): Promise<boolean> {
    const signal = AbortSignal.timeout(1_000);
    const metrics = await fetch(`${this.urls.metrics}/metrics`, { signal }).then((response) =>
      response.text()
    );
    return /^etcd_server_is_leader 1$/m.test(metrics);
  }

  async healthy(timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const { name } = this.urls;
      if (this.#ended) {
        const { code, signal } = this.#ended;
        throw new EndedByItself(
          `${name} ended by itself (${signal ?? `status ${code}`}):\n${await this.tail()}`,
        );
      }
      // Another's etcd that had the port first would answer in place of this one, which ends then.
      const health = await this.#health();
      if (health.includes("true") && !this.#ended) return;
      if (Date.now() > deadline) {
        const [state] = /^State:.*/m.exec(await Deno.readTextFile(`/proc/${this.pid}/status`)) ?? [];
        throw new Error(
          `${name} is not healthy after ${timeoutMs} ms (/health: "${health}", ${state}):\n${await this
            .tail()}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #health(): Promise<string> {
    const { hostname, port, pathname: path } = new URL(`${this.urls.metrics}/health`);
    const { inside } = this.options;
    if (!inside) {
      return fetch(`${this.urls.metrics}/health`, { signal: AbortSignal.timeout(1_000) })
        .then((response) => response.text()).catch(String);
    }
    return requestIn(inside.namespace, { hostname, port: Number(port) }, { path, timeout: 1_000 })
      .then(({ body }) => body, String);
  }

  /** Ends it and waits until it is gone. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    if (!this.#ended) {
      child.kill("SIGCONT");
      child.kill(signal);
    }
    await deadline(child.status, END_MS, () => {
      const threads = statesOf(child.pid).join(" ");
      throw new Error(
        `${this.urls.name} has not ended ${END_MS / 1_000} s after ${signal}; its threads: ${threads}`,
      );
    });
  }

  /** Stops it, its connections open, as a host that hangs or is cut off; all of its threads stand still when this returns. */
  freeze(): void {
    Deno.kill(this.pid, "SIGSTOP");
    for (const begun = performance.now();; pause(1)) {
      const states = statesOf(this.pid);
      if (states.length && states.every((state) => state === "T")) return;
      // A process that has ended stays a zombie as long as this waits: nothing else of this program runs meanwhile.
      const isOver = states.every((state) => /[ZX]/.test(state));
      if (!isOver && performance.now() - begun < STOP_MS) continue;
      throw new Error(`${this.urls.name} does not stand still; its threads: ${states.join(" ")}`);
    }
  }

  thaw(): void {
    Deno.kill(this.pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.dir, { recursive: true }).catch((error) => {
      // Members of one cluster share the directory: the first one to go takes it along.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** The states of a process's threads, as /proc has them: T is stopped, D waits for a disk, Z has ended; none when it is gone. */
function statesOf(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  const threads = unlessGone(() => [...Deno.readDirSync(tasks)]) ?? [];
  return threads.flatMap(({ name }) => {
    const stat = unlessGone(() => Deno.readTextFileSync(`${tasks}/${name}/stat`));
    return stat === undefined ? [] : /^.*\) (\S)/.exec(stat)?.[1] ?? "";
  });
}

/** What is read of /proc; undefined when the process or the thread has ended, also one that ends once its file is open. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const noSuchProcess = error instanceof Error && /\(os error 3\)/.test(error.message);
    if (!noSuchProcess && !(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  }
}

/** Waits without letting anything else of this program run; the processor is left to others. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Starts one etcd: `await using etcd = await labEtcd()`. */
export async function labEtcd(options: LabEtcdOptions = {}): Promise<LabEtcd> {
  const [member] = await labCluster(1, options);
  if (!member) throw new Error("no member");
  return member;
}

/** How often a cluster is started with other ports, where another program has taken one meanwhile. */
const TRIES = 3;

/** Starts a cluster of `count` members. @param port Chooses ports, for tests. */
export async function labCluster(
  count: number,
  options: LabEtcdOptions = {},
  port: () => number = freePort,
): Promise<LabEtcd[]> {
  for (let tries = 1;; tries++) {
    try {
      return await startCluster(count, options, port);
    } catch (error) {
      const taken = error instanceof EndedByItself && /address already in use/.test(error.message);
      if (!taken || tries === TRIES || options.inside) throw error;
    }
  }
}

async function startCluster(
  count: number,
  options: LabEtcdOptions,
  port: () => number,
): Promise<LabEtcd[]> {
  const binary = await etcdBinary();
  const dir = options.dir ?? await Deno.makeTempDir({ prefix: "strand-etcd-" });
  const { scheme = "http", inside } = options;
  const all = Array.from({ length: count }, (_, i): MemberUrls => ({
    name: `m${i}`,
    client: inside ? `${scheme}://${inside.address}:2379` : `${scheme}://127.0.0.1:${port()}`,
    peer: `http://127.0.0.1:${inside ? 2380 : port()}`,
    metrics: `http://127.0.0.1:${inside ? 2381 : port()}`,
  }));
  const cluster = all.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const members = all.map((urls) => new LabEtcd(urls, dir, cluster, options));
  for (const member of members) {
    member.binary = binary;
    member.launch();
  }
  try {
    await Promise.all(members.map((member) => member.healthy()));
  } catch (error) {
    for (const member of members) await member[Symbol.asyncDispose]();
    throw error;
  }
  return members;
}
