/** An etcd process that this program starts, watches and restarts, for hosts without an etcd cluster. */
import { fileURLToPath } from "node:url";
import { delay } from "../common/async.ts";
import { formatHostPort, type HostPort } from "../common/host_port.ts";
import { request } from "../common/http/request.ts";
import { messageOf, Refusal } from "../common/refusal.ts";

/** The events of an etcd process of this program after it became ready. */
export type EtcdProcessEvent =
  | { readonly kind: "died"; readonly code: number; readonly againInMs: number }
  | { readonly kind: "back" };

export interface EtcdProcessOptions {
  /** The data directory, with etcd's own log in it as `etcd.log`; made when absent. */
  readonly dataDir: string;
  /** TCP port for clients on 127.0.0.1; 0 or absent: a free one. */
  readonly port?: number;
  /** The further addresses at which clients of other hosts find it. */
  readonly alsoListen?: readonly HostPort[];
  readonly report?: (event: EtcdProcessEvent) => void;
  /** How long it may take to answer after a start, in ms (default 30,000: a big store is read first). */
  readonly startTimeoutMs?: number;
}

/** An etcd process that this program has started, and restarts when it ends. */
export interface EtcdProcess {
  /** The URL at which clients find it, like `http://127.0.0.1:2379`; the same across restarts. */
  readonly endpoint: string;
  /** Its process id; undefined while it is being started again. */
  readonly pid: number | undefined;
  /** Ends it in order: SIGTERM, after 5 s SIGKILL. */
  stop(): Promise<void>;
}

const STEADY_MS = 30_000;
const LOG_LIMIT = 4 << 20;

/**
 * Starts an etcd in `dataDir`, waits until it answers, and starts it again whenever it dies.
 * Throws Refusal when there is no etcd program, when the directory cannot be used or another etcd has it,
 * and when it does not come up.
 */
export async function startEtcd(options: EtcdProcessOptions): Promise<EtcdProcess> {
  const { dataDir, alsoListen = [], startTimeoutMs = 30_000 } = options;
  const binary = await etcdBinary();
  await claimDataDir(dataDir);
  const port = options.port || freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const urls = [endpoint, ...alsoListen.map((address) => `http://${formatHostPort(address)}`)].join(",");
  let child: Deno.ChildProcess | undefined;
  const stopping = new AbortController();

  const launch = async (): Promise<void> => {
    const startedAt = Date.now();
    // Checked first, because a foreign etcd on this port would answer in place of this process.
    if (!portIsFree(port)) throw new Error(`port ${port} of 127.0.0.1 is taken by another program`);
    const running = child = spawn(binary, dataDir, urls);
    const drained = keepLog(running.stderr, `${dataDir}/etcd.log`);
    const ended = new AbortController();
    void Promise.all([running.status, drained]).then(() => ended.abort());
    while (!(await healthy(port))) {
      if (ended.signal.aborted) throw new Error(`it ended at once: ${await lastLine(`${dataDir}/etcd.log`)}`);
      if (Date.now() - startedAt > startTimeoutMs) throw new Error(`no answer in ${startTimeoutMs / 1000} s`);
      await delay(30, ended.signal);
    }
  };

  const supervise = async (): Promise<void> => {
    let backoff = 200;
    let startedAt = Date.now();
    while (!stopping.signal.aborted) {
      const status = await child?.status;
      if (stopping.signal.aborted) return;
      if (Date.now() - startedAt > STEADY_MS) backoff = 200;
      options.report?.({ kind: "died", code: status?.code ?? -1, againInMs: backoff });
      await delay(backoff, stopping.signal);
      if (stopping.signal.aborted) return;
      backoff = Math.min(backoff * 2, 5_000);
      startedAt = Date.now();
      // A process that neither answers nor ends is killed, so that the next one can start.
      await launch().then(() => options.report?.({ kind: "back" }), () => end(child));
    }
  };

  try {
    await launch();
  } catch (error) {
    await end(child);
    throw new Refusal("unavailable", `etcd in ${dataDir} did not start: ${messageOf(error)}`);
  }
  const supervised = supervise();
  return {
    endpoint,
    get pid() {
      return child?.pid;
    },
    async stop() {
      stopping.abort();
      await end(child);
      await supervised;
    },
  };
}

/** The etcd program: STRAND_ETCD, the one unpacked into the checkout, or the first on the PATH. */
export async function etcdBinary(): Promise<string> {
  const named = Deno.env.get("STRAND_ETCD");
  if (named) {
    if (await isFile(named)) return named;
    throw new Refusal("unavailable", `STRAND_ETCD: there is no program at ${named}`);
  }
  const own = new URL("../../.strand/etcd/usr/bin/etcd", import.meta.url);
  const onPath = (Deno.env.get("PATH") ?? "").split(":").filter(Boolean).map((dir) => `${dir}/etcd`);
  for (const path of [own.protocol === "file:" ? fileURLToPath(own) : "", ...onPath]) {
    if (path && await isFile(path)) return path;
  }
  throw new Refusal("unavailable", "etcd is not installed: put it on the PATH, or name it with STRAND_ETCD");
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

/** Creates the directory and checks that no other etcd uses it; etcd itself would silently wait for the other. */
async function claimDataDir(dataDir: string): Promise<void> {
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    using log = await Deno.open(`${dataDir}/etcd.log`, { create: true, append: true });
    if ((await log.stat()).size > LOG_LIMIT) await log.truncate();
  } catch (error) {
    throw new Refusal(
      "unavailable",
      `the etcd data directory ${dataDir} cannot be used: ${messageOf(error)}`,
    );
  }
  const database = `${dataDir}/member/snap/db`;
  if (!(await isFile(database))) return;
  using file = await Deno.open(database, { read: true, write: true });
  if (!(await file.tryLock(true))) {
    throw new Refusal(
      "unavailable",
      `the etcd data directory ${dataDir} is in use by another etcd: stop that one first`,
    );
  }
}

function spawn(binary: string, dataDir: string, urls: string): Deno.ChildProcess {
  const peer = `http://127.0.0.1:${freePort()}`;
  return new Deno.Command("setpriv", {
    args: [
      // If this process is killed, the kernel ends its etcd too: no other process would do that.
      "--pdeathsig=TERM",
      binary,
      "--name=strand",
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${urls}`,
      `--advertise-client-urls=${urls}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=strand=${peer}`,
      // A single member needs no other votes: a short election timeout saves the default second at a restart.
      "--heartbeat-interval=20",
      "--election-timeout=200",
      "--auto-compaction-mode=periodic",
      "--auto-compaction-retention=1h",
      "--logger=zap",
      "--log-outputs=stderr",
      "--log-level=warn",
    ],
    // etcd gets its own process group: Ctrl-C must end only this process, which stops etcd after its last request.
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

async function keepLog(stream: ReadableStream<Uint8Array>, path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, append: true });
  for await (const chunk of stream) await file.write(chunk);
}

async function lastLine(path: string): Promise<string> {
  return (await Deno.readTextFile(path)).trimEnd().split("\n").at(-1) || "it wrote nothing";
}

async function healthy(port: number): Promise<boolean> {
  try {
    return (await request({ host: "127.0.0.1", port }, "GET", "/health", 1000)).body.includes("true");
  } catch {
    return false; // not listening yet: asked again by the caller until its deadline
  }
}

/**
 * A TCP port of 127.0.0.1 on which no program listens. It is chosen at random below Linux's ephemeral ports (32768 and
 * up), one of which the next outgoing connection on this host might take before the caller listens on it.
 */
export function freePort(first = 10_000, last = 19_999): number {
  for (;;) {
    const port = first + Math.floor(Math.random() * (last + 1 - first));
    if (portIsFree(port)) return port;
  }
}

function portIsFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}

async function end(child: Deno.ChildProcess | undefined): Promise<void> {
  if (!child) return;
  const force = setTimeout(() => signal(child, "SIGKILL"), 5_000);
  signal(child, "SIGTERM");
  await child.status;
  clearTimeout(force);
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch (error) {
    // The process has ended by itself meanwhile.
    if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
}
