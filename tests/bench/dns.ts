import dgram from "node:dgram";
import { once } from "node:events";
import { decode, encodeQuery } from "../../services/dnsd/testing.ts";
import { peers } from "./dns_peers.ts";
import { startStrand, type Strand } from "./dns_strand.ts";
import {
  type BenchResult,
  cpuSeconds,
  family,
  freePort,
  installed,
  interleaved,
  median,
  percentile,
  plot,
  rssMiB,
  run,
  Running,
  type Sample,
  type Side,
  table,
  until,
  writeSection,
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
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const start = async (name: string, run: (folder: string, port: number) => Promise<Strand | Running>) => {
    const own = `${folder}/${name.replaceAll(" ", "-")}`;
    await Deno.mkdir(own);
    const port = await freePort();
    const started = await run(own, port);
    const strand = started instanceof Running ? undefined : stack.use(started);
    const process = started instanceof Running ? stack.adopt(started, (p) => p.stop()) : started.process;
    await until(`${name} answers`, async () => {
      if (process.ended) throw new Error(`${name} ended before it answered`);
      return await lookUp(port, `host${count - 1}.bench.test`) !== undefined;
    }, 20_000);
    const load = { size: `${count.toLocaleString("en")} names`, queries, seconds, core: core === 0 ? 1 : 0 };
    const server = { port, process, strand };
    return { name, round: () => measure(server, load) } satisfies Side;
  };
  const sides = [
    await start(
      "Strand",
      (folder, port) => startStrand({ folder, port, core, names: names.map(([name]) => name) }),
    ),
  ];
  for (const peer of peers()) {
    sides.push(
      await start(
        peer.name,
        async (folder, port) => new Running(await peer.command(folder, port, names), { core }),
      ),
    );
  }
  return await interleaved("dns", sides, rounds, progress);
}

/** For `strand bench dns`: measures, and writes its section of docs/BENCHMARKS.md and its plot. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchDns({ progress });
  const docs = new URL("../../docs/", import.meta.url).pathname;
  await Deno.writeTextFile(`${docs}bench-dns.svg`, plot(result, METRIC));
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## DNS

\`./strand bench dns\`: the same 10,000 names everywhere, ours from etcd. Servers on one core, dnsperf on the other,
sides interleaved; CPU time of all of a server's threads by the kernel's account. A changed name is timed under that
load, from before its commit to etcd.

![Queries per CPU-second](bench-dns.svg)

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(`${docs}BENCHMARKS.md`, "dns", text);
  return result;
}

interface Server {
  readonly port: number;
  readonly process: Running;
  /** Ours: names can be changed. */
  readonly strand: Strand | undefined;
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
  const changes = server.strand ? await changesUnderLoad(server.strand, server.port, load.seconds) : [];
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
        sample("a changed name is answered, 95 of 100", "ms", percentile(changes, 95)),
        sample("a changed name is answered, worst", "ms", Math.max(...changes)),
      ]
      : []),
  ];
}

/** Renames a member again and again while the load is on. @returns how long each took to be answered, in ms */
async function changesUnderLoad(strand: Strand, port: number, seconds: number): Promise<number[]> {
  const took: number[] = [];
  const end = performance.now() + seconds * 800;
  for (let i = 0; performance.now() < end; i++) {
    const name = `changed${Date.now()}`;
    const begun = performance.now();
    const renamed = strand.rename(name);
    while (await lookUp(port, `${name}.bench.test`) === undefined) {
      if (performance.now() > end + 5000) throw new Error(`${name} was never answered`);
    }
    took.push(performance.now() - begun);
    await renamed;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return took;
}

/** The first address of a name; undefined when there is none, or no answer within 200 ms. */
async function lookUp(port: number, name: string): Promise<string | undefined> {
  const socket = dgram.createSocket("udp4");
  socket.on("error", () => {}); // The server does not listen yet, so there is no answer either.
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
