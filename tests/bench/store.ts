import { fileURLToPath } from "node:url";
import { etcdBinary } from "../../services/store/etcd_process.ts";
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
import { Lab } from "../lab/host.ts";
import {
  type BenchResult,
  cpuSeconds,
  interleaved,
  machine,
  plot,
  run,
  type Sample,
  type Side,
  table,
  writeSection,
} from "./lib.ts";
import { fill } from "./store_fill.ts";

export interface StoreBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** Members of the network that is listed and that the services hold, four keys each. Default 10,000. */
  readonly members?: number;
  /** Commits whose way to another mirror is timed, each round. Default 300. */
  readonly events?: number;
  /** Where etcd runs; the load runs on the other. Default 0. */
  readonly core?: number;
  readonly progress?: (line: string) => void;
}

export const METRIC = "plans per second";

/** What `etcdctl check datascale --load=s` writes: as many keys, of 1 KiB, by as many clients. */
const PLANS = 10_000, CLIENTS = 50;

/**
 * Measures the store: guarded commits beside plain puts of etcd's own client, the mirror's listing and the way of an
 * event beside `etcdctl get` and `etcdctl watch`, and the memory of the services. Without etcdctl its sides are left out.
 *
 * @throws Refusal when not run as root: dhcpd needs a namespace; Error when there is no etcd
 */
export async function benchStore(options: StoreBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, members = 10_000, events = 300, core = 0, progress = () => {} } = options;
  await using stack = new AsyncDisposableStack();
  // On a disk: what is synced must reach one.
  const dir = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "strand-bench-" });
  const etcd = stack.use(await labEtcd({ cpu: core, dir }));
  const etcdctl = await etcdctlBinary();
  const bench = new StoreBench(etcd, etcdctl, core === 0 ? 1 : 0);
  progress(`filling etcd with ${members} members`);
  await fill(etcd.endpoint, members);
  const parts: Side[][] = [
    bench.commits(),
    bench.listings(members),
    bench.latencies(events),
    [await memory(stack, members)],
  ];
  const rows: BenchResult["rows"] = [], ratios: BenchResult["ratios"] = [];
  for (const sides of parts) {
    const part = await interleaved("store", sides, rounds, progress);
    rows.push(...part.rows);
    ratios.push(...part.ratios);
  }
  return { machine: machine(), rows, ratios };
}

/** For `strand bench store`: measures, and writes its section of docs/BENCHMARKS.md and its plot. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchStore({ progress });
  const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
  await Deno.writeTextFile(`${docs}bench-store.svg`, plot(result, METRIC));
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## Store

\`./strand bench store\`: one etcd, syncing to disk, on one core, the load on the other, sides interleaved. A plan
creates a key of 1 KiB that must be absent, so many of them always waiting; grouped, plans of one process share
transactions. etcdctl's figure is \`etcdctl check datascale --load=s\`: as many keys put without a guard. CPU time is
the kernel's account. The listing is from no connection to the last key parsed, beside \`etcdctl get --prefix\`. An
event is timed from before its commit until another replica's mirror, or \`etcdctl watch\`, shows it. Memory is each
service's own with all members, after it started and nexd was given them once more; the limit is 150 MiB.

![Plans per second](bench-store.svg)

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(`${docs}BENCHMARKS.md`, "store", text);
  return result;
}

class StoreBench {
  /** @param core where the load runs */
  constructor(
    private readonly etcd: LabEtcd,
    private readonly etcdctl: string | undefined,
    private readonly core: number,
  ) {}

  commits(): Side[] {
    const ours = (name: string, kind: string): Side => ({
      name,
      round: async () => [
        ...await this.commit(kind, CLIENTS),
        ...await this.commit(kind, 20 * CLIENTS),
      ],
    });
    const sides = [ours("Strand, grouped", "grouped"), ours("Strand, one by one", "single")];
    const { etcdctl } = this;
    if (etcdctl === undefined) return sides;
    const round = async () => {
      const before = cpuSeconds(this.etcd.pid);
      const [seconds, cpu] = await this.timed([etcdctl, "check", "datascale", "--load=s"]);
      return commitSamples(CLIENTS, { seconds, cpu, etcd: cpuSeconds(this.etcd.pid) - before });
    };
    return [...sides, { name: "etcdctl, puts", round }];
  }

  listings(members: number): Side[] {
    const size = `${members.toLocaleString("en")} members`;
    const samples = (seconds: number, cpu: number): Sample[] => [
      { size, metric: "everything listed", unit: "ms", value: 1000 * seconds },
      { size, metric: "CPU of listing", unit: "ms", value: 1000 * cpu },
    ];
    const ours = async () => {
      const { seconds, cpu, keys } = await this.load<{ seconds: number; cpu: number; keys: number }>(
        "listing",
      );
      return [...samples(seconds, cpu), { size, metric: "keys listed", unit: "keys", value: keys }];
    };
    const sides: Side[] = [{ name: "Strand", round: ours }];
    const { etcdctl } = this;
    if (etcdctl === undefined) return sides;
    const theirs = async () => samples(...await this.timed([etcdctl, "get", "--prefix", "/member/"]));
    return [...sides, { name: "etcdctl", round: theirs }];
  }

  latencies(events: number): Side[] {
    const size = `${events} events`;
    const side = (name: string, ...by: string[]): Side => ({
      name,
      round: async () => {
        const took = await this.load<{ acknowledged: number; shown: number; late: number }>(
          "latency",
          String(events),
          ...by,
        );
        const sample = (metric: string, value: number): Sample => ({ size, metric, unit: "ms", value });
        return [
          sample("commit acknowledged, median", took.acknowledged),
          sample("event seen, median", took.shown),
          sample("event seen, 99 of 100", took.late),
        ];
      },
    });
    const sides = [side("Strand")];
    return this.etcdctl === undefined ? sides : [...sides, side("etcdctl", this.etcdctl)];
  }

  private async commit(kind: string, atOnce: number): Promise<Sample[]> {
    const args = [String(this.etcd.pid), kind, String(PLANS), String(atOnce)];
    return commitSamples(atOnce, await this.load<Took>("commits", ...args));
  }

  /** Runs the load on its core. */
  private async load<T>(mode: string, ...args: string[]): Promise<T> {
    const out = await run([...script("store_load.ts"), mode, this.etcd.endpoint, ...args], {
      core: this.core,
    });
    return JSON.parse(out);
  }

  /** Runs an etcdctl command on the load's core. @returns seconds that passed, and seconds of its CPU */
  private async timed([etcdctl = "", ...args]: string[]): Promise<[number, number]> {
    const times = 'TIMEFORMAT="%R %U %S"; { time "$@" >/dev/null 2>&1; } 2>&1';
    const out = await run(
      ["bash", "-c", times, "bash", etcdctl, `--endpoints=${this.etcd.endpoint}`, ...args],
      { core: this.core },
    );
    const [seconds = NaN, user = NaN, system = NaN] = out.trim().split(" ").map(Number);
    return [seconds, user + system];
  }
}

interface Took {
  readonly seconds: number;
  /** Seconds of the client's CPU, and of etcd's. */
  readonly cpu: number;
  readonly etcd: number;
}

function commitSamples(atOnce: number, took: Took): Sample[] {
  const size = `${atOnce.toLocaleString("en")} at once`;
  const micros = (seconds: number) => 1e6 * seconds / PLANS;
  return [
    { size, metric: METRIC, unit: "plans/s", value: PLANS / took.seconds },
    { size, metric: "CPU per plan, client", unit: "µs", value: micros(took.cpu) },
    { size, metric: "CPU per plan, etcd", unit: "µs", value: micros(took.etcd) },
  ];
}

/** Each service in a namespace where dhcpd has an interface, started again each round. */
async function memory(stack: AsyncDisposableStack, members: number): Promise<Side> {
  const lab = stack.use(await Lab.create("bench"));
  const host = await lab.host("store", { segment: await lab.segment("lan"), address: "10.0.0.1/16" });
  const size = `${members.toLocaleString("en")} members`;
  return {
    name: "Strand",
    async round() {
      const out = await run(host.inside([...script("store_memory.ts"), String(members)]));
      const services = JSON.parse(out) as Record<string, { now: number; most: number }>;
      return Object.entries(services).flatMap(([name, { now, most }]): Sample[] => [
        { size, metric: `memory of ${name}`, unit: "MiB RSS", value: now },
        { size, metric: `memory of ${name}, most`, unit: "MiB RSS", value: most },
      ]);
    },
  };
}

/** The command line of a file beside this one. */
function script(name: string): string[] {
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const flags = ["--quiet", "--allow-all", "--cached-only", "--no-prompt", "--config", at("../../deno.json")];
  return [Deno.execPath(), "run", ...flags, at(name)];
}

/** etcd's own client: beside etcd, or on the PATH. */
async function etcdctlBinary(): Promise<string | undefined> {
  const folders = [(await etcdBinary()).replace(/\/?[^/]*$/, ""), ...(Deno.env.get("PATH") ?? "").split(":")];
  for (const folder of folders) {
    const path = `${folder || "."}/etcdctl`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}
