import dgram from "node:dgram";
import { once } from "node:events";
import { decode, encodeQuery } from "../../services/dnsd/testing.ts";
import { type Peer, peers } from "./dns_peers.ts";
import {
  type BenchResult,
  cpuSeconds,
  family,
  freePort,
  installed,
  interleaved,
  median,
  rssMiB,
  run,
  Running,
  type Sample,
  type Side,
  until,
} from "./lib.ts";

export interface DnsBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** Of load, each round and side. Default 3. */
  readonly seconds?: number;
  /** Names served. Default 10,000. */
  readonly names?: number;
  /** Where the servers run; the load runs on the other. Default 0. */
  readonly core?: number;
  readonly progress?: (line: string) => void;
}

export const METRIC = "queries per CPU-second";

/**
 * Compares DNS servers with the same names: queries answered for each second of CPU that the server takes, by the
 * kernel's account, all of its threads and processes. Peers that are not installed are left out.
 *
 * @throws Error when dnsperf is not installed or a server does not come up
 */
export async function benchDns(options: DnsBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, seconds = 3, names: count = 10_000, core = 0, progress = () => {} } = options;
  if (!installed("dnsperf")) throw new Error("dnsperf is not installed: apt-get install dnsperf");
  const folder = await Deno.makeTempDir({ prefix: "strand-bench-" });
  const names = Array.from({ length: count }, (_, i) => {
    const address = 256 + i;
    return [`host${i}`, `10.0.${address >> 8}.${address & 255}`] as const;
  });
  const queries = `${folder}/queries`;
  await Deno.writeTextFile(queries, shuffled(names).map(([name]) => `${name}.bench.test A\n`).join(""));
  const servers: Server[] = [];
  try {
    const size = `${count.toLocaleString("en")} names`;
    const start = async (peer: Peer) => {
      const own = `${folder}/${servers.length}`;
      await Deno.mkdir(own);
      const port = await freePort();
      const server = new Server(peer.name, port, await peer.command(own, port, names), core);
      servers.push(server);
      await server.ready(count);
    };
    for (const peer of [strand, ...peers()]) await start(peer);
    const sides = servers.map((server): Side => ({
      name: server.name,
      round: () => measure(server, { size, queries, seconds, core: core === 0 ? 1 : 0 }),
    }));
    return await interleaved("dns", sides, rounds, progress);
  } finally {
    for (const server of servers) await server.process.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

const strand: Peer = {
  name: "Strand",
  command: (_folder, port, names) =>
    Promise.resolve([
      Deno.execPath(),
      ...["run", "--quiet", "--allow-all", "--cached-only", "--no-prompt"],
      new URL("dns_server.ts", import.meta.url).pathname,
      `127.0.0.1:${port}`,
      String(names.length),
    ]),
};

class Server {
  readonly process: Running;

  constructor(readonly name: string, readonly port: number, command: readonly string[], core: number) {
    this.process = new Running(command, { core, input: name === strand.name });
  }

  /** Waits until the last of `count` names is answered. */
  async ready(count: number): Promise<void> {
    await until(`${this.name} answers`, async () => {
      if (this.process.ended) throw new Error(`${this.name} ended before it answered`);
      return await lookUp(this.port, `host${count - 1}.bench.test`) !== undefined;
    }, 20_000);
  }
}

async function measure(
  server: Server,
  load: { size: string; queries: string; seconds: number; core: number },
): Promise<Sample[]> {
  const { size } = load;
  const pids = family(server.process.pid);
  const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = used();
  const target = ["-s", "127.0.0.1", "-p", String(server.port), "-d", load.queries];
  const running = run(
    ["dnsperf", ...target, "-l", String(load.seconds), "-c", "10", "-T", "1", "-q", "200"],
    {
      core: load.core,
    },
  );
  const changes = server.name === strand.name ? await changesUnderLoad(server, load.seconds) : [];
  const report = await running;
  const cpu = used() - before;
  const completed = Number(/Queries completed:\s+(\d+)/.exec(report)?.[1]);
  const lost = Number(/Queries lost:\s+(\d+)/.exec(report)?.[1]);
  const rate = Number(/Queries per second:\s+([\d.]+)/.exec(report)?.[1]);
  const sample = (metric: string, unit: string, value: number): Sample => ({ size, metric, unit, value });
  return [
    sample(METRIC, "q/s of CPU", completed / cpu),
    sample("queries per second", "q/s", rate),
    sample("queries lost", "%", 100 * lost / (completed + lost)),
    sample("memory", "MiB RSS", pids.reduce((sum, pid) => sum + rssMiB(pid), 0)),
    ...(changes.length > 0
      ? [
        sample("a changed name is answered, median", "ms", median(changes)),
        sample("a changed name is answered, worst", "ms", Math.max(...changes)),
      ]
      : []),
  ];
}

/** Changes a name again and again while the load is on. @returns how long each took to be answered, in ms */
async function changesUnderLoad(server: Server, seconds: number): Promise<number[]> {
  const took: number[] = [];
  const end = performance.now() + seconds * 800;
  for (let i = 0; performance.now() < end; i++) {
    const address = `10.0.200.${i % 250}`;
    const begun = performance.now();
    await server.process.tell(`changing.bench.test ${address}`);
    while (await lookUp(server.port, "changing.bench.test") !== address && performance.now() < end + 1000);
    took.push(performance.now() - begun);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return took;
}

/** The first address of a name; undefined when there is none, or no answer within 200 ms. */
async function lookUp(port: number, name: string): Promise<string | undefined> {
  const socket = dgram.createSocket("udp4");
  socket.on("error", () => {}); // Nobody there yet: no answer either.
  try {
    socket.send(encodeQuery({ name }), port, "127.0.0.1");
    const [message] = await once(socket, "message", { signal: AbortSignal.timeout(200) });
    return decode(new Uint8Array(message)).answer[0]?.data;
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") return undefined;
    throw error;
  } finally {
    socket.close();
  }
}

/** In an order that looks random and is the same each time. */
function shuffled<T>(list: readonly T[]): T[] {
  const copy = [...list];
  let state = 1;
  for (let i = copy.length - 1; i > 0; i--) {
    state = (state * 48271) % 0x7fffffff;
    const j = state % (i + 1);
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}

if (import.meta.main) {
  const { plot, table } = await import("./lib.ts");
  const result = await benchDns({ rounds: Number(Deno.args[0] ?? 5), progress: console.error });
  console.log(table(result));
  if (Deno.args[1]) await Deno.writeTextFile(Deno.args[1], plot(result, METRIC));
}
