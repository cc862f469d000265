import { Lab } from "../lab/host.ts";
import { type Peer, peers, strand } from "./dhcp_peers.ts";
import {
  type BenchResult,
  cpuSeconds,
  family,
  installed,
  interleaved,
  plot,
  rssMiB,
  type Running,
  type Sample,
  type Side,
  table,
  writeSection,
} from "./lib.ts";

export interface DhcpBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** Of load, at each rate that is tried. Default 3. */
  readonly seconds?: number;
  /** Where the servers and their stores run; the load runs on the other. Default 0. */
  readonly core?: number;
  readonly progress?: (line: string) => void;
}

export const METRIC = "full exchanges per second";

/** They come again and again: after the first time each is a known client, whose lease is written again. */
const CLIENTS = 10_000;
/** A rate is kept up when no more than this part of the messages is lost. */
const MOST_LOST = 0.001;
/** The search ends when the rate is known to this factor. */
const CLOSE_ENOUGH = 1.06;

/**
 * Compares DHCP servers by the rate of full exchanges (DISCOVER, OFFER, REQUEST, ACK) that they keep up with, their
 * store on the same core. Peers that are not installed are left out.
 *
 * @throws Error when perfdhcp is not installed or a server does not come up
 */
export async function benchDhcp(options: DhcpBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, seconds = 3, core = 0, progress = () => {} } = options;
  if (!installed("perfdhcp")) throw new Error("perfdhcp is not installed: apt-get install kea-admin");
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await Lab.create("bench"));
  // On a disk: what is synced must reach one. PostgreSQL's user has to get at its own part.
  const folder = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "strand-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.chmod(folder, 0o711);
  const sides: Side[] = [];
  for (const peer of [strand, ...peers]) {
    const station = new Station(lab, peer, `${folder}/${sides.length}`, core);
    await station.start(sides.length);
    stack.defer(() => station.stop());
    sides.push({ name: peer.name, round: () => station.round(seconds, progress) });
  }
  return await interleaved("dhcp", sides, rounds, progress);
}

interface Load {
  /** The greater part of the messages of either kind that were lost. */
  readonly lost: number;
  readonly exchanges: number;
  readonly cpu: number;
}

/** One server, its store and the host that loads it. */
class Station {
  #processes: Running[] = [];
  #load: (args: readonly string[]) => Promise<string> = () => Promise.reject(new Error("not started"));
  /** What was kept up with last. */
  #rate = 0;

  constructor(
    private readonly lab: Lab,
    private readonly peer: Peer,
    private readonly folder: string,
    private readonly core: number,
  ) {}

  async start(number: number): Promise<void> {
    await Deno.mkdir(this.folder, { mode: 0o711 });
    const segment = await this.lab.segment(`side${number}`);
    const server = await this.lab.host(`server${number}`, { segment, address: "10.0.0.1/16" });
    const client = await this.lab.host(`load${number}`, { segment, address: "10.0.0.2/16" });
    const other = String(this.core === 0 ? 1 : 0);
    this.#load = async (args) =>
      (await client.run(["taskset", "-c", other, "perfdhcp", "-4", ...args, "10.0.0.1"], { mayFail: true }))
        .stdout;
    this.#processes = await this.peer.start(server, this.folder, this.core);
  }

  async stop(): Promise<void> {
    for (const process of this.#processes.reverse()) await process.stop();
  }

  /** Searches for the highest rate that is kept up, beginning near the last one. */
  async round(seconds: number, progress: (line: string) => void): Promise<Sample[]> {
    const attempt = async (rate: number) => {
      let load = await this.#attempt(Math.round(rate), seconds);
      // One may be the doing of another process.
      if (load.lost > MOST_LOST) load = await this.#attempt(Math.round(rate), seconds);
      progress(`  ${this.peer.name}: ${Math.round(rate)}/s, ${(100 * load.lost).toFixed(2)} % lost`);
      return load;
    };
    let best: Load | undefined, low = 0, high = Infinity;
    // The first round begins low: caches, tables and just-in-time compilers are cold.
    let rate = this.#rate || 500;
    while (high / low > CLOSE_ENOUGH) {
      const load = await attempt(rate);
      if (load.lost <= MOST_LOST) [low, best] = [rate, load];
      else high = rate;
      if (rate < 50) throw new Error(`${this.peer.name} does not keep up with 50 exchanges a second`);
      const step = this.#rate ? 1.12 : 2;
      rate = high === Infinity ? low * step : low === 0 ? high / step : Math.sqrt(low * high);
    }
    this.#rate = low;
    const sample = (metric: string, unit: string, value: number): Sample => ({
      size: `${CLIENTS.toLocaleString("en")} clients`,
      metric,
      unit,
      value,
    });
    return [
      sample(METRIC, "exchanges/s", low),
      sample("exchanges per CPU-second", "of CPU", (best?.exchanges ?? 0) / (best?.cpu ?? NaN)),
      sample("memory, without its store", "MiB RSS", rssMiB(this.#processes.at(-1)?.pid ?? 0)),
    ];
  }

  async #attempt(rate: number, seconds: number): Promise<Load> {
    const pids = this.#pids();
    const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    const before = used();
    const report = await this.#load([
      ...["-r", String(rate), "-R", String(CLIENTS), "-p", String(seconds), "-W", "300000", "-s", "1"],
    ]);
    const cpu = used() - before;
    const lost = [...report.matchAll(/drops ratio:\s+([\d.e+-]+)/g)].map(([, percent]) =>
      Number(percent) / 100
    );
    const [, received] = [...report.matchAll(/received packets:\s+(\d+)/g)].map(([, count]) => Number(count));
    if (lost.length < 2 || received === undefined) {
      throw new Error(`perfdhcp's report is not understood:\n${report}`);
    }
    return { lost: Math.max(...lost), exchanges: received, cpu };
  }

  /** Every process that works for this side: the servers' children too. */
  #pids(): number[] {
    return this.#processes.flatMap(({ pid }) => family(pid));
  }
}

/** `strand bench dhcp`: measures, and writes its section of docs/BENCHMARKS.md with its plot. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchDhcp({ progress });
  const docs = new URL("../../docs/", import.meta.url).pathname;
  await Deno.writeTextFile(`${docs}bench-dhcp.svg`, plot(result, METRIC));
  await writeSection(
    `${docs}BENCHMARKS.md`,
    "dhcp",
    `## DHCP

\`./strand bench dhcp\`: the highest rate of full exchanges (DISCOVER, OFFER, REQUEST, ACK) with less than 0.1 % of
them lost. Each server and its store on one core, perfdhcp with ${
      CLIENTS.toLocaleString("en")
    } clients on the other,
sides interleaved. Strand's leases are committed to etcd and synced before their ACK, as PostgreSQL's are; Kea's
memfile is written, and synced when the kernel likes.

![Full exchanges per second](bench-dhcp.svg)

${table(result)}`,
  );
  return result;
}
