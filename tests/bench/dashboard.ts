import { fileURLToPath } from "node:url";
import { SandKeys } from "../../services/store/sand_keys.ts";
import { labEtcd } from "../lab/etcd.ts";
import type { Process } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { endpointOf, fill, hostName, machineName, networkName, type Size, Writer } from "./dashboard_fill.ts";
import {
  type BenchResult,
  cpuSeconds,
  interleaved,
  machine,
  median,
  percentile,
  pssMiB,
  rssMiB,
  type Sample,
  table,
  until,
  writeSection,
} from "./lib.ts";

export interface DashboardBenchOptions {
  /** Default 3. */
  readonly rounds?: number;
  /** Default: 1,000 networks, 10,000 hosts, 100,000 endpoints. */
  readonly size?: Size;
  readonly progress?: (line: string) => void;
}

/** How often each page is fetched, and how many changes are timed, in each round. */
const TIMES = 5, CHANGES = 20;
/** How long it is left alone before its memory is read, in ms: it compares itself with etcd within that time. */
const SETTLE = 20_000;

/**
 * Measures `strand dashboard` over a large store: its start, its memory, its pages, and how long after the commit of a change an
 * open page shows it.
 */
export async function benchDashboard(options: DashboardBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 3, progress = () => {} } = options;
  const { size = { networks: 1000, hosts: 10_000, endpoints: 100_000 } } = options;
  await using etcd = await labEtcd();
  using writer = new Writer(etcd.endpoint);
  const run = async (size: string, measure: (services: LabServices, its: Process) => Promise<Sample[]>) => {
    await using services = await LabServices.create(etcd.endpoint);
    const before = cpuSeconds(etcd.pid), begun = performance.now(), its = services.launch("dashboard");
    await its.line(/ started /, 600_000);
    const sample = (metric: string, value: number): Sample => ({ size, metric, unit: "ms", value });
    return [
      sample("started", performance.now() - begun),
      sample("started, processor time", 1000 * cpuSeconds(its.pid)),
      sample("started, processor time of etcd", 1000 * (cpuSeconds(etcd.pid) - before)),
      ...await measure(services, its),
    ];
  };
  // Deno compiles what it has not run before.
  await run("once before", () => Promise.resolve([]));
  const side = (round: () => Promise<Sample[]>) => [{ name: "Strand", round }];
  const empty = side(() => run("empty", (_, { pid }) => memory("empty", pid)));
  const { rows } = await interleaved("dashboard", empty, 1, progress);
  progress(`writing ${size.endpoints} endpoints`);
  await fill(writer, size);
  const label = `${size.hosts.toLocaleString("en")} hosts`;
  const full = side(() =>
    run(label, async (services, its) => [
      ...await pages(label, services, size),
      ...await memory(label, its.pid),
      ...await changes(label, services, writer, size),
      { size: label, metric: "memory after changes", unit: "MiB RSS", value: rssMiB(its.pid) },
    ])
  );
  rows.push(...(await interleaved("dashboard", full, rounds, progress)).rows);
  return { machine: machine(), rows, ratios: [] };
}

async function memory(size: string, pid: number): Promise<Sample[]> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE));
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const most = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  return [
    { size, metric: "memory", unit: "MiB RSS", value: rssMiB(pid) },
    { size, metric: "its part of memory", unit: "MiB PSS", value: pssMiB(pid) },
    { size, metric: "memory, most since the start", unit: "MiB RSS", value: most },
  ];
}

async function fetched(services: LabServices, path: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${services.dashboardPort}${path}`), text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${text}`);
  return text;
}

/** The first view, just after the start, and then each of the others. */
async function pages(label: string, services: LabServices, size: Size): Promise<Sample[]> {
  const took = async (path: string) => {
    const begun = performance.now();
    await fetched(services, path);
    return performance.now() - begun;
  };
  const n = Math.floor(size.endpoints / 2),
    samples: Sample[] = [
      { size: label, metric: "first view: /", unit: "ms", value: await took("/") },
    ];
  const { number, value: { id } } = endpointOf(size, n), name = networkName(number);
  const paths = {
    "/": "/",
    "/networks": "/networks",
    "/networks/NAME": `/networks/${name}`,
    "/hosts": "/hosts",
    "/hosts, filtered": `/hosts?filter=${hostName(size.hosts - 1)}`,
    "/matrix": "/matrix",
    "/find of one": `/find?q=${machineName(n)}`,
    "/find of all": "/find?q=vm-",
    "/machines/ID": `/machines/${id}`,
  };
  for (const [metric, path] of Object.entries(paths)) {
    const all: number[] = [];
    for (let i = 0; i < TIMES; i++) all.push(await took(path));
    samples.push({ size: label, metric, unit: "ms", value: median(all) });
  }
  return samples;
}

/** Renames endpoints, and does as open pages do: fetches what is told to have changed until the new name is there. */
async function changes(label: string, services: LabServices, writer: Writer, size: Size): Promise<Sample[]> {
  const stop = new AbortController();
  const events = await fetch(`http://127.0.0.1:${services.dashboardPort}/events`, { signal: stop.signal });
  let told = 0;
  const reading = (async () => {
    for await (const text of events.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      if (text.includes("event: changed")) told++;
    }
  })().catch(() => {}); // It is closed.
  const shown = async (path: string, has: (text: string) => boolean) => {
    for (let seen = told;;) {
      await until(`an event, and what is new on ${path}`, () => told > seen);
      seen = told;
      if (has(await fetched(services, path))) return;
    }
  };
  const ofNetwork: number[] = [], ofHosts: number[] = [];
  try {
    for (let i = 0; i < CHANGES; i++) {
      const { key, value, number, network, host } = endpointOf(size, i * 5003 % size.endpoints);
      const name = `new-${i}-${Date.now()}`;
      const renamed = shown(`/networks/${networkName(number)}.json`, (text) => text.includes(name));
      let begun = performance.now();
      const revision = await writer.write([[key, { ...value, strand_name: name }]]);
      await renamed;
      ofNetwork.push(performance.now() - begun);
      // The host tells that it has applied that.
      const applied = shown(`/hosts.json?filter=${host}`, (text) => text.includes(`"applied":${revision}`));
      begun = performance.now();
      await writer.write([[new SandKeys().applied(network, host), { revision }]]);
      await applied;
      ofHosts.push(performance.now() - begun);
    }
  } finally {
    stop.abort();
    await reading;
  }
  return [["on a network's page", ofNetwork] as const, ["on the page of all hosts", ofHosts] as const]
    .flatMap((
      [where, all],
    ) => [
      { size: label, metric: `change seen ${where}, median`, unit: "ms", value: median(all) },
      { size: label, metric: `change seen ${where}, longest`, unit: "ms", value: percentile(all, 100) },
    ]);
}

/** For `strand bench dashboard`: measures, and writes its section of docs/BENCHMARKS.md. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchDashboard({ progress });
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## Dashboard

\`./strand bench dashboard\`: over 1,000 networks, 10,000 hosts and 100,000 endpoints, a hundred in each network and ten on each
host, in one etcd on the same machine. The start is timed from exec to the line "started", the first view is the first page just
after it, and pages are whole answers. A change is timed from before its commit until a page has it that is fetched when the
dashboard says that it has changed, as an open page does. Memory is read after 20 s, in which the dashboard compares itself with
etcd; with an empty store it is what the program takes itself.

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(fileURLToPath(new URL("../../docs/BENCHMARKS.md", import.meta.url)), "dashboard", text);
  return result;
}
