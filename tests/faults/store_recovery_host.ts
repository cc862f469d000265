/**
 * A host whose etcd fails in every way that leaves connections open, run by store_recovery_test.ts in a network
 * namespace: three members and a store that writes all the while. Prints how long each recovery took, as JSON.
 */
import { Refusal } from "../../services/common/refusal.ts";
import { change } from "../../services/store/change.ts";
import { labCluster, type LabEtcd } from "../lab/etcd.ts";
import { run } from "../lab/host.ts";
import { labStore, put } from "../lab/store.ts";
import { until } from "../lab/until.ts";

const [darkMs = "12000", ...etcdArgs] = Deno.args;
const members = await labCluster(3, { args: etcdArgs });
using store = labStore(members.map(({ endpoint }) => endpoint), { checkEveryMs: 1e9 });

/** When each write began that was confirmed (performance.now()). */
const confirmed: number[] = [];
let slowest = 0, stop = false;
const writers = Array.from({ length: 4 }, async (_, i) => {
  for (let n = 0; !stop; n++) {
    const began = performance.now();
    try {
      await change(store, () => put(`/a/${i}`, n));
      confirmed.push(began);
      slowest = Math.max(slowest, performance.now() - began);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

/** How long it takes from now until a write is confirmed that began from now on, and the mirror is in sync, in s. */
async function recovery(): Promise<{ write: number; mirror: number; slowest: number }> {
  const began = performance.now();
  slowest = 0;
  await until("a write", (see) => see(confirmed.at(-1) ?? 0) > began, 60_000);
  const write = performance.now() - began;
  await until("in sync", () => store.mirror.state.inSync, 60_000);
  const mirror = performance.now() - began;
  return { write: write / 1000, mirror: mirror / 1000, slowest: slowest / 1000 };
}

async function leader(): Promise<LabEtcd> {
  for (const member of members) if (await member.leads()) return member;
  throw new Error("no leader");
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

try {
  await store.mirror.ready();
  await until("writes", (see) => see(confirmed.length) > 20);
  // The first endpoint is the one in use.
  const [used] = members;
  if (!used) throw new Error("no member");
  used.freeze();
  const hung = await recovery();
  used.thaw();
  await until("a leader", () => leader().then(() => true, () => false));

  const first = await leader();
  await first.kill();
  const leaderLost = await recovery();
  await first.start();

  const before = sockets();
  await drop("-I");
  // Its first SYN is lost; the kernel repeats it after 1 s, then more and more seldom.
  using late = labStore(store.connection.endpoints);
  await new Promise((resolve) => setTimeout(resolve, Number(darkMs)));
  const during = sockets();
  await drop("-D");
  const healed = performance.now();
  await late.mirror.ready();
  const firstConnection = (performance.now() - healed) / 1000;
  const dark = await recovery();
  console.log(JSON.stringify({ hung, leaderLost, dark, firstConnection, sockets: { before, during } }));
} finally {
  stop = true;
  await Promise.all(writers);
  for (const member of members) {
    await member[Symbol.asyncDispose]();
  }
}
