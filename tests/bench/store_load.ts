/** The store's load as a process of its own, so that it can be pinned and its CPU time told: MODE ENDPOINT [ARGUMENT…]. */
import process from "node:process";
import { nexSchema } from "../../services/store/records.ts";
import { openStore, type Store } from "../../services/store/store.ts";
import type { Plan, Schema } from "../../services/store/types.ts";
import { linesOf } from "../../cli/strand/process.ts";
import { cpuSeconds, median, percentile } from "./lib.ts";

/** The load's keys, unlike any of the schema that users have. */
const texts: Schema<string> = { prefixes: ["/load/"], parse: (_, value) => value };

function open(endpoint: string): Store<string> {
  return openStore({ endpoints: [endpoint], schema: texts });
}

/** A key that must not exist, as for the claim of a lease or a name. */
function claim(key: string, bytes: number): Plan {
  return { guards: [{ key, modRevision: 0 }], ops: [{ put: key, value: "x".repeat(bytes) }] };
}

/** Seconds of CPU that this process has used, all threads, finer than the kernel's ticks. */
function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Commits `count` plans of 1 KiB with `atOnce` always waiting, to the etcd of process `pid`. */
async function commits(endpoint: string, pid: number, kind: string, count: number, atOnce: number) {
  const store = open(endpoint);
  // The mirror would show what was written: that costs something too, but not to the committing process.
  store.mirror.close();
  const { committer } = store;
  const work = async (folder: string, count: number) => {
    let next = 0;
    await Promise.all(Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const plan = claim(`/load/${folder}/${next++}`, 1024);
        const { committed } =
          await (kind === "grouped" ? committer.commitGrouped(plan) : committer.commit(plan));
        if (!committed) throw new Error("a plan was lost: are there two loads?");
      }
    }));
  };
  const folder = String(Date.now());
  await work(`${folder}-warm`, 2_000);
  const cpu = ownCpuSeconds(), etcd = cpuSeconds(pid), begun = performance.now();
  await work(folder, count);
  const seconds = (performance.now() - begun) / 1000;
  const used = { cpu: ownCpuSeconds() - cpu, etcd: cpuSeconds(pid) - etcd };
  store.close();
  return { seconds, ...used };
}

/** How long the mirror takes to have everything, from no connection. */
async function listing(endpoint: string) {
  const cpu = ownCpuSeconds(), begun = performance.now();
  const store = openStore({ endpoints: [endpoint], schema: nexSchema });
  await store.mirror.ready();
  const seconds = (performance.now() - begun) / 1000;
  const used = ownCpuSeconds() - cpu;
  const keys = [...store.mirror.entries()].length;
  store.close();
  return { seconds, cpu: used, keys };
}

/** How long after a commit was begun another replica's mirror (or `etcdctl watch`) shows it, in ms. */
async function latency(endpoint: string, count: number, etcdctl: string | undefined) {
  const writer = open(endpoint);
  const waiting = new Map<string, () => void>();
  const seen = (key: string) => waiting.get(key)?.();
  let stop: () => unknown;
  if (etcdctl) {
    const args = ["--endpoints", endpoint, "watch", "--prefix", "/load/"];
    const child = new Deno.Command(etcdctl, { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
    stop = () => child.kill();
    (async () => {
      for await (const line of linesOf(child.stdout)) seen(line);
    })();
  } else {
    const reader = open(endpoint);
    stop = () => reader.close();
    reader.mirror.subscribe((changes) => changes.forEach(({ key }) => seen(key)));
    await reader.mirror.ready();
  }
  const once = async (key: string, patience: number) => {
    const { promise, resolve } = Promise.withResolvers<number>();
    waiting.set(key, () => resolve(performance.now()));
    const timer = setTimeout(() => resolve(NaN), patience);
    const begun = performance.now();
    await writer.committer.commit(claim(key, 256));
    const acknowledged = performance.now();
    const shown = await promise;
    clearTimeout(timer);
    return { acknowledged: acknowledged - begun, shown: shown - begun };
  };
  const folder = `/load/${Date.now()}`;
  // The watcher does not tell when it began.
  for (let i = 0; Number.isNaN((await once(`${folder}/first-${i}`, 200)).shown); i++);
  const acknowledged: number[] = [], shown: number[] = [];
  for (let i = 0; i < count; i++) {
    const took = await once(`${folder}/${i}`, 10_000);
    acknowledged.push(took.acknowledged);
    shown.push(took.shown);
  }
  stop();
  writer.close();
  return { acknowledged: median(acknowledged), shown: median(shown), late: percentile(shown, 99) };
}

if (import.meta.main) {
  const [mode, endpoint = "", ...rest] = Deno.args;
  const [first = "", second, third, fourth] = rest;
  const result = mode === "commits"
    ? await commits(endpoint, Number(first), second ?? "", Number(third), Number(fourth))
    : mode === "listing"
    ? await listing(endpoint)
    : await latency(endpoint, Number(first), second);
  console.log(JSON.stringify(result));
  Deno.exit(0);
}
