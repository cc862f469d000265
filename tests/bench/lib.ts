/** What every benchmark shares: pinned processes, CPU time from the kernel, rounds, medians, and the result's forms. */

import dgram from "node:dgram";
import { once } from "node:events";

/** One measured thing: `median`, `min` and `max` of `rounds` rounds, in `unit`. */
export interface Row {
  bench: string;
  side: string;
  size: string;
  metric: string;
  unit: string;
  median: number;
  min: number;
  max: number;
  rounds: number;
}

/** How many times as much as the side `against` we did: the median of the rounds' own ratios. */
export interface Ratio {
  bench: string;
  size: string;
  metric: string;
  against: string;
  median: number;
}

export interface BenchResult {
  machine: Machine;
  rows: Row[];
  ratios: Ratio[];
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryMiB: number;
  kernel: string;
  runtime: string;
}

/** This machine, from /proc. */
export function machine(): Machine {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  return {
    cpu,
    cores: navigator.hardwareConcurrency,
    memoryMiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 20),
    kernel: Deno.osRelease(),
    runtime: `Deno ${Deno.version.deno}`,
  };
}

/** Seconds of CPU (user and system, every thread, ended threads too) that a process has used: proc_pid_stat(5). */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The command's name may hold blanks and brackets: the fields begin behind its last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticksASecond = 100;
  return (Number(fields[11]) + Number(fields[12])) / ticksASecond;
}

/** A process and all that descend from it: some servers work in children. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch (error) {
      // Ended between the listing and now.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  const found = [pid];
  for (const parent of found) for (const [child, its] of parents) if (its === parent) found.push(child);
  return found;
}

/** Resident memory of a process in MiB: proc_pid_status(5). */
export function rssMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
}

/** Memory of a process in MiB of which pages that several processes have count in part (PSS): proc_pid_smaps(5). */
export function pssMiB(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`))?.[1]) / 1024;
}

/** True when `command` is an executable on the PATH, sbin folders included. */
export function installed(command: string): boolean {
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
  return path.split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${command}`).isFile;
    } catch {
      return false;
    }
  });
}

/** A process of a benchmark or test, on one core when `core` is given. End it with {@link Running.stop}. */
export class Running {
  readonly #child: Deno.ChildProcess;
  readonly pid: number;
  #ended = false;
  readonly status: Promise<Deno.CommandStatus>;

  /** @param options `core`: where it runs; `log`: a file for its standard error */
  constructor(
    command: readonly string[],
    options: { core?: number; env?: Record<string, string>; log?: string } = {},
  ) {
    const [program = "", ...args] = options.core === undefined
      ? command
      : ["taskset", "-c", String(options.core), ...command];
    const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
    this.#child = new Deno.Command(program, {
      args,
      env: { PATH: path, ...options.env },
      stdin: "null",
      stdout: "null",
      stderr: options.log === undefined ? "null" : "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.status = this.#child.status;
    this.status.finally(() => this.#ended = true);
    if (options.log !== undefined) {
      const file = Deno.openSync(options.log, { create: true, write: true, truncate: true });
      this.#child.stderr.pipeTo(file.writable);
    }
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** SIGTERM, then SIGKILL after 5 s; resolves when it is gone. */
  async stop(): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.status;
    clearTimeout(timer);
  }
}

/** Runs a command to its end and gives its standard output; throws with its standard error when it fails. */
export async function run(command: readonly string[], options: { core?: number } = {}): Promise<string> {
  const [program = "", ...args] = options.core === undefined
    ? command
    : ["taskset", "-c", String(options.core), ...command];
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
  const out = await new Deno.Command(program, { args, env: { PATH: path }, stdin: "null" }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!out.success) throw new Error(`${command.join(" ")}: ${text(out.stderr) || text(out.stdout)}`);
  return text(out.stdout);
}

/** Waits until `condition` holds, asking every 10 ms; throws, naming `what`, after `timeout` ms. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeout = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${timeout} ms without success: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A port of the loopback address that nothing has bound for UDP and TCP. */
export async function freePort(): Promise<number> {
  for (;;) {
    const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = tcp.addr;
    const udp = dgram.createSocket("udp4");
    try {
      udp.bind(port, "127.0.0.1");
      await once(udp, "listening");
      return port;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    } finally {
      udp.close();
      tcp.close();
    }
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The value that `percent` of 100 do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * percent / 100) - 1] ?? NaN;
}

/** One figure of one side in one round. */
export interface Sample {
  size: string;
  metric: string;
  unit: string;
  value: number;
}

/** One of the things compared: `round` measures once. */
export interface Side {
  name: string;
  round(): Promise<readonly Sample[]>;
}

/**
 * Measures every side once a round, beginning with another side each time, so that what else the machine does
 * meets all alike.
 *
 * @param bench the benchmark's name, `dns`
 * @param sides ours first: the ratios are its figures over the others'
 */
export async function interleaved(
  bench: string,
  sides: readonly Side[],
  rounds: number,
  progress: (line: string) => void = () => {},
): Promise<BenchResult> {
  const all = new Map<string, { side: string; sample: Sample; values: number[] }>();
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < sides.length; i++) {
      const side = sides[(round + i) % sides.length];
      if (!side) continue;
      for (const sample of await side.round()) {
        const id = `${side.name}\n${sample.size}\n${sample.metric}`;
        const seen = all.get(id) ?? { side: side.name, sample, values: [] };
        seen.values.push(sample.value);
        all.set(id, seen);
        progress(
          `round ${round + 1}/${rounds}  ${side.name}  ${sample.size}  ${sample.metric}  ` +
            `${figure(sample.value)} ${sample.unit}`,
        );
      }
    }
  }
  const ours = sides[0]?.name;
  const rows: Row[] = [], ratios: Ratio[] = [];
  for (const { side, sample: { size, metric, unit }, values } of all.values()) {
    rows.push({
      bench,
      side,
      size,
      metric,
      unit,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      rounds: values.length,
    });
    const base = all.get(`${ours}\n${size}\n${metric}`);
    if (side === ours || !base) continue;
    const ratio = median(values.map((theirs, i) => (base.values[i] ?? NaN) / theirs));
    // Of two zeros there is none.
    if (Number.isFinite(ratio)) ratios.push({ bench, size, metric, against: side, median: ratio });
  }
  return { machine: machine(), rows, ratios };
}

/** A figure with three or four digits that count. */
export function figure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The result as a Markdown table, legible as plain text too. */
export function table(result: BenchResult): string {
  const lines = [["side", "size", "metric", "median", "min–max", "unit", "ratio"]];
  for (const row of result.rows) {
    const ratio = result.ratios.find((r) =>
      r.against === row.side && r.size === row.size && r.metric === row.metric
    );
    lines.push([
      row.side,
      row.size,
      row.metric.replace(/(\d+) of 100$/, "p$1"),
      figure(row.median),
      `${figure(row.min)}–${figure(row.max)}`,
      row.unit,
      ratio ? ratio.median.toFixed(2) : "",
    ]);
  }
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((l) => (l[column] ?? "").length)));
  const text = lines.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`);
  text.splice(1, 0, `| ${widths.map((w) => "-".repeat(w)).join(" | ")} |`);
  return text.join("\n") + "\n";
}

/** One metric of the result as an SVG: a bar a side, a whisker from the least to the greatest round. */
export function plot(result: BenchResult, metric: string): string {
  const rows = result.rows.filter((row) => row.metric === metric);
  const most = Math.max(...rows.map((row) => row.max));
  const left = 190, width = 420, step = 30, top = 40;
  const x = (value: number) => (left + width * value / most).toFixed(1);
  const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const bars = rows.map((row, i) => {
    const y = top + i * step, middle = y + 9;
    return `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escape(row.side)} ${
      escape(row.size)
    }</text>
<rect x="${left}" y="${y}" width="${(Number(x(row.median)) - left).toFixed(1)}" height="18" fill="${
      row.side === result.rows[0]?.side ? "#2563eb" : "#94a3b8"
    }"/>
<path d="M${x(row.min)} ${middle}H${x(row.max)}" stroke="#0f172a" stroke-width="1.5"/>
<text x="${left + width + 12}" y="${y + 13}">${figure(row.median)}</text>`;
  });
  const unit = rows[0]?.unit ?? "";
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 110}" height="${
    top + rows.length * step + 10
  }" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="${left}" y="24" font-weight="bold">${escape(metric)} (${
    escape(unit)
  }): median, least to greatest round</text>
${bars.join("\n")}
</svg>
`;
}

/** Puts `text` in the part of a Markdown file that belongs to `bench`, leaving the other parts alone. */
export async function writeSection(file: string, bench: string, text: string): Promise<void> {
  const begin = `<!-- begin ${bench} -->`, end = `<!-- end ${bench} -->`;
  const section = `${begin}\n${text.trimEnd()}\n${end}\n`;
  let old = "";
  try {
    old = await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const from = old.indexOf(begin), to = old.indexOf(end);
  const whole = from >= 0 && to > from
    ? old.slice(0, from) + section + old.slice(to + end.length).replace(/^\n/, "")
    : `${old}${old ? "\n" : ""}${section}`;
  await Deno.writeTextFile(file, whole);
}
