/**
 * A host whose etcd fails in every way that leaves connections open, run by store_recovery_test.ts in a network
 * namespace: three members and a store that writes all the while. Prints how long each recovery took, as JSON, and to
 * stderr each step as it begins. A step that takes too long ends the script with what there is to see.
 */
import { deadline } from "../../services/common/async.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { change } from "../../services/store/change.ts";
import { labCluster, type LabEtcd } from "../lab/etcd.ts";
import { run } from "../lab/host.ts";
import { type LabStore, labStore, put } from "../lab/store.ts";
import { until } from "../lab/until.ts";

const [darkMs = "12000", ...etcdArgs] = Deno.args;
/** How long a step may take, in ms: longer than what `until()` in it waits. */
const STEP_MS = 75_000;
/** As long as a service waits. */
const usual = { writeMs: 2_000, timeoutMs: 5_000 };

const members: LabEtcd[] = [], stores: LabStore[] = [];
/** When each write began that was confirmed (performance.now()). */
const confirmed: number[] = [];
/** What each writer does, and since when. */
const writing: { readonly since: number; readonly what: string }[] = [];
let slowest = 0, stop = false;

/** Does a step of the script, and tells of one that fails or takes too long what there is to see. */
async function step<T>(what: string, act: () => T | Promise<T>, ms = STEP_MS): Promise<T> {
  console.error(`${(performance.now() / 1000).toFixed(1)} s: ${what}`);
  try {
    return await deadline(Promise.resolve(act()), ms, () => {
      throw new Error(`not done after ${ms / 1000} s`);
    });
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}\n${await around()}`, { cause: error });
  }
}

/** The state of everything that a step waits for. */
async function around(): Promise<string> {
  const now = performance.now();
  const lines = stores.flatMap(({ mirror: { state }, events }, i) => [
    `store ${i}: ${Deno.inspect({ ...state, quarantined: state.quarantined.size }, { breakLength: 200 })}`,
    ...events.slice(-10).map((event) => `  ${Deno.inspect(event, { breakLength: 200 })}`),
  ]);
  writing.forEach(({ since, what }, i) =>
    lines.push(`writer ${i}: ${what} for ${((now - since) / 1000).toFixed(1)} s`)
  );
  for (const member of members) {
    lines.push(`${member.urls.name}, ${member.endpoint}: ${member.states()}`, await member.tail(5));
  }
  const opened = await run(["ss", "-tnop"], { mayFail: true, timeout: 5_000 }).catch(messageOf);
  lines.push(typeof opened === "string" ? opened : opened.stdout);
  return lines.join("\n");
}

async function write(store: LabStore, i: number): Promise<void> {
  for (let n = 0; !stop; n++) {
    const began = performance.now();
    writing[i] = { since: began, what: `write ${n}` };
    try {
      await change(store, () => put(`/a/${i}`, n));
      confirmed.push(began);
      slowest = Math.max(slowest, performance.now() - began);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  writing[i] = { since: performance.now(), what: "ended" };
}

/** How long it takes from now until a write is confirmed that began from now on, and the mirror is in sync, in s. */
async function recovery(store: LabStore): Promise<{ write: number; mirror: number; slowest: number }> {
  const began = performance.now();
  slowest = 0;
  await step("a write", () => until("a write", (see) => see(confirmed.at(-1) ?? 0) > began, 60_000));
  const write = performance.now() - began;
  await step("the mirror is in sync", () => until("in sync", () => store.mirror.state.inSync, 60_000));
  const mirror = performance.now() - began;
  return { write: write / 1000, mirror: mirror / 1000, slowest: slowest / 1000 };
}

/** Finds the leader, once there is one. */
async function leader(): Promise<LabEtcd> {
  let found: LabEtcd | undefined;
  await until("a leader", async () => {
    const leading = await Promise.all(members.map((member) => member.leads().catch(() => false)));
    found = members[leading.indexOf(true)];
    return found !== undefined;
  });
  if (!found) throw new Error("no leader");
  return found;
}

function sockets(): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

async function drop(verb: "-I" | "-D"): Promise<void> {
  for (const { endpoint } of members) {
    const port = new URL(endpoint).port;
    await run(["iptables", verb, "INPUT", "-p", "tcp", "--dport", port, "-j", "DROP"]);
    await run(["iptables", verb, "INPUT", "-p", "tcp", "--sport", port, "-j", "DROP"]);
  }
}

function opened(store: LabStore): LabStore {
  stores.push(store);
  return store;
}

async function faults(store: LabStore): Promise<unknown> {
  await step("the store is ready", () => store.mirror.ready());
  await step("some writes", () => until("writes", (see) => see(confirmed.length) > 20));
  // The first endpoint is the one in use.
  const [used] = members;
  if (!used) throw new Error("no member");
  await step("a member hangs", () => used.freeze());
  const hung = await recovery(store);
  used.thaw();

  const first = await step("the leader is found", leader);
  await step("the leader is killed", () => first.kill());
  const leaderLost = await recovery(store);
  await step("it is started again", () => first.start());

  const before = sockets();
  await step("no packet comes", () => drop("-I"));
  // Its first SYN is lost; the kernel repeats it after 1 s, then more and more seldom.
  using late = opened(labStore(store.connection.endpoints, usual));
  await step("the dark", () => new Promise((resolve) => setTimeout(resolve, Number(darkMs))));
  const during = sockets();
  await step("packets come again", () => drop("-D"));
  const healed = performance.now();
  await step("the store that began in the dark is ready", () => late.mirror.ready());
  const firstConnection = (performance.now() - healed) / 1000;
  const dark = await recovery(store);
  return { hung, leaderLost, dark, firstConnection, sockets: { before, during } };
}

await step("etcd starts", async () => members.push(...await labCluster(3, { args: etcdArgs })));
const store = opened(labStore(members.map(({ endpoint }) => endpoint), { checkEveryMs: 1e9, ...usual }));
const writers = Array.from({ length: 4 }, (_, i) => write(store, i));
try {
  console.log(JSON.stringify(await faults(store)));
} catch (error) {
  console.error(error);
  throw error;
} finally {
  stop = true;
  await step("the writers end", () => Promise.all(writers));
  for (const member of members) await step(`${member.urls.name} ends`, () => member[Symbol.asyncDispose]());
}
store.close();
// Nothing is left to wait for: a socket or a timer that keeps the process would keep a service that is told to end, too.
Deno.unrefTimer(setTimeout(async () => {
  console.error(`the process does not end by itself\n${await around()}`);
  Deno.exit(1);
}, 30_000));
console.error("the end");
