import { fileURLToPath } from "node:url";
import { removeNamespace } from "../../ffi/netns.ts";
import { HostKernel } from "../../services/agent/kernel/host.ts";
import { Ip } from "../../services/common/ip.ts";
import { macFromBytes } from "../../services/common/mac.ts";
import { diff } from "../../services/overlay/diff.ts";
import {
  type BenchResult,
  installed,
  interleaved,
  machine,
  plot,
  run,
  type Sample,
  type Side,
  table,
  writeSection,
} from "./lib.ts";
import type { Times } from "./neigh_ours.ts";
import { emptyNetwork, pairs, VTEP } from "./neigh_state.ts";

export interface NeighBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** Remote endpoints. Default 10,000 and 100,000. */
  readonly sizes?: readonly number[];
  /** Where both sides run. Default 0. */
  readonly core?: number;
  readonly progress?: (line: string) => void;
}

export const METRIC = "endpoints programmed per second";

/**
 * Compares how fast a network's remote endpoints, an ARP and an FDB entry each, get into the kernel and out of it, and
 * how long a look takes that finds nothing to do. Each round has a namespace of its own.
 */
export async function benchNeigh(options: NeighBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, sizes = [10_000, 100_000], core = 0, progress = () => {} } = options;
  if (!installed("ip")) throw new Error("iproute2 is not installed: apt-get install iproute2");
  const folder = await Deno.makeTempDir({ prefix: "strand-bench-" });
  try {
    const rows: BenchResult["rows"] = [], ratios: BenchResult["ratios"] = [];
    for (const size of sizes) {
      const part = await interleaved(
        "neigh",
        [ours(size, core), await theirs(size, core, folder)],
        rounds,
        progress,
      );
      rows.push(...part.rows);
      ratios.push(...part.ratios);
    }
    return { machine: machine(), rows, ratios };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** For `strand bench neigh`: measures, and writes its section of docs/BENCHMARKS.md and its plot. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchNeigh({ progress });
  const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
  await Deno.writeTextFile(`${docs}bench-neigh.svg`, plot(result, METRIC));
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## Neighbours

\`./strand bench neigh\`: remote endpoints of one network, an ARP and an FDB entry each, put into a vxlan device and taken
out again, beside \`ip -batch\` and \`bridge -batch\` with files that are ready; same core, sides interleaved, a new namespace each
round. A look with nothing to do lists links, addresses and both tables and compares them with what should be there;
the figure beside it is \`ip -j neigh\` and \`bridge -j fdb\` alone, which compare nothing. Of that look, the kernel's
listing of the FDB takes the most: for each 430 entries it goes through the table from its start.

![Endpoints programmed per second](bench-neigh.svg)

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(`${docs}BENCHMARKS.md`, "neigh", text);
  return result;
}

let serial = 0;

/** Runs `body` with the path of a namespace to be made, and with a VNI that is free; both are gone afterwards. */
async function withNetwork<T>(body: (name: string, path: string, vni: number) => Promise<T>): Promise<T> {
  const name = `strand-neigh-${Deno.pid}-${serial++}`, path = `/run/netns/${name}`;
  try {
    return await body(name, path, (Deno.pid % 16000) * 1000 + serial);
  } finally {
    removeNamespace(path);
  }
}

function samples(size: number, { program, look, remove }: Times): Sample[] {
  const sample = (metric: string, unit: string, value: number): Sample => ({
    size: `${size.toLocaleString("en")} endpoints`,
    metric,
    unit,
    value,
  });
  return [
    sample(METRIC, "1/s", size / program * 1000),
    sample("endpoints removed per second", "1/s", size / remove * 1000),
    sample("a look with nothing to do", "ms", look),
  ];
}

function ours(size: number, core: number): Side {
  const script = fileURLToPath(new URL("neigh_ours.ts", import.meta.url));
  const round = () =>
    withNetwork(async (_, path, vni) => {
      const deno = [Deno.execPath(), "run", "-A", "--cached-only", script];
      return samples(size, JSON.parse(await run([...deno, path, `${vni}`, `${size}`], { core })) as Times);
    });
  return { name: "Strand", round };
}

async function theirs(size: number, core: number, folder: string): Promise<Side> {
  const write = async (name: string, lines: readonly string[]) => {
    const file = `${folder}/${name}-${size}`;
    await Deno.writeTextFile(file, lines.join("\n") + "\n");
    return file;
  };
  const { arp, fdb } = pairs(size);
  const neighbours = [...arp].map(([address, mac]) => [`${Ip.from4(address)}`, text(mac)] as const);
  const entries = [...fdb].map(([mac, vtep]) => [text(mac), `${Ip.from4(vtep)}`] as const);
  const files = {
    arp: await write(
      "arp",
      neighbours.map(([ip, mac]) => `neigh replace ${ip} lladdr ${mac} dev vxlan0 nud permanent`),
    ),
    fdb: await write(
      "fdb",
      entries.map(([mac, ip]) => `fdb replace ${mac} dev vxlan0 dst ${ip} self permanent`),
    ),
    noArp: await write("no-arp", neighbours.map(([ip]) => `neigh del ${ip} dev vxlan0`)),
    noFdb: await write("no-fdb", entries.map(([mac, ip]) => `fdb del ${mac} dev vxlan0 dst ${ip} self`)),
  };
  const round = () =>
    withNetwork(async (name, path, vni) => {
      using host = new HostKernel({ vtep: Ip.parse(VTEP) });
      await host.network(path).carryOut(diff(undefined, emptyNetwork(vni)));
      const timed = async (script: string) => {
        const started = performance.now();
        await run(["sh", "-c", script], { core });
        return performance.now() - started;
      };
      const batch = (bridge: string, ip: string) =>
        timed(`bridge -n ${name} -batch ${bridge} && ip -n ${name} -batch ${ip}`);
      const program = await batch(files.fdb, files.arp);
      const list = `ip -n ${name} -j neigh show dev vxlan0; bridge -n ${name} -j fdb show dev vxlan0`;
      const look = await timed(`{ ${list}; } > /dev/null`);
      return samples(size, { program, look, remove: await batch(files.noFdb, files.noArp) });
    });
  return { name: "ip and bridge", round };
}

function text(mac: number): string {
  return macFromBytes(Uint8Array.fromHex(mac.toString(16).padStart(12, "0")));
}
