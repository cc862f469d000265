/** Random faults on three etcd members, hosts and services, checked from the whole history of etcd. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Process } from "../../lab/host.ts";
import { Cluster, RELAY } from "./cluster.ts";
import { Dice } from "../../lab/dice.ts";
import { until } from "../../lab/until.ts";
import { makeFaults } from "./faults.ts";
import { faultsOf, type Told } from "./checker.ts";
import { recordHistory, type Transaction } from "./record.ts";

/** STRAND_FAULT_SECONDS: how long faults go on; STRAND_FAULT_SEED: that of an earlier run. */
const seconds = Number(Deno.env.get("STRAND_FAULT_SECONDS") ?? 15);
const seed = Number(Deno.env.get("STRAND_FAULT_SEED") ?? Math.floor(Math.random() * 2 ** 31));

Deno.test(`under faults of three etcd members, hosts and services nothing is held twice, undone or done twice (seed ${seed})`, async () => {
  await using cluster = await Cluster.started();
  const told: Told[] = [], timeline: string[] = [];
  const begun = Date.now();
  const start = (script: string, ...args: string[]): Process =>
    cluster.clients.spawn([
      ...[Deno.execPath(), "run", "--allow-all", "--no-check", "--cached-only", "--quiet"],
      fileURLToPath(new URL(script, import.meta.url)),
      ...[`${seed}`, `${seconds}`, ...args],
    ], {
      onLine(line, stream) {
        if (stream === "stdout") told.push(JSON.parse(line) as Told);
      },
    });
  const clients = [
    start("nex_clients.ts", ...cluster.servers.map(({ ip }) => `${ip}:6000`)),
    start(
      "sand_clients.ts",
      ...cluster.servers.map(({ ip, overlay }) => `${overlay.name}=http://${ip}:9999`),
    ),
    start("dhcp_clients.ts", RELAY, ...cluster.servers.map((_, i) => `10.98.1.${11 + i}`)),
  ];
  const end = performance.now() + seconds * 1000;
  const counts = await makeFaults(cluster, new Dice(seed), () => performance.now() > end, (line) => {
    timeline.push(`${((Date.now() - begun) / 1000).toFixed(1)} s: ${line}`);
  });
  for (const client of clients) {
    const { code } = await client.ended;
    assert.equal(code, 0, client.tail());
  }
  // A transaction that waits in a member's socket, or for TCP to send it again, would be applied by then.
  await Promise.all(cluster.members.map(({ etcd }) => etcd.healthy()));
  await cluster.ready();
  const [member] = cluster.members;
  assert(member);
  // The members may have no leader yet.
  await until("the end is written", async (see) => {
    const failed = await member.kv.write({ "/check/end": "now" }).catch((error) => error);
    return see(failed) === undefined;
  });
  const history = await recordHistory(cluster.clients, member.etcd.endpoint, await member.kv.revision());
  const faults = faultsOf(history, told);
  const requests = told.filter((one) => one.kind === "asked");
  const leases = told.filter((one) => one.kind === "held").length;
  const count = (outcome: string) => requests.filter((one) => one.outcome === outcome).length;
  console.log(
    `seed ${seed}: ${history.length} transactions; changes: ${count("done")} done, ${
      count("refused")
    } refused, ` +
      `${count("unknown")} open; ${
        told.length - requests.length - leases
      } answers whether something is there; ${leases} leases`,
    Object.fromEntries(counts),
  );
  const report = [
    ...faults.slice(0, 40),
    "",
    ...timeline,
    "",
    ...ofKeys(faults, history, told, begun),
    ...evidence(faults, history, told),
  ];
  assert.deepEqual(faults, [], report.join("\n"));
  assert(
    count("done") > seconds && leases > seconds,
    "the clients hardly came to anything",
  );
});

/** What etcd and the clients have of the keys that faults name. */
function ofKeys(
  faults: readonly string[],
  history: readonly Transaction[],
  told: readonly Told[],
  begun: number,
): string[] {
  const keys = new Set(faults.flatMap((fault) => /^(\/\S+): /.exec(fault)?.[1] ?? []).slice(0, 5));
  const seconds = (ms: number) => ((ms - begun) / 1000).toFixed(1);
  return [...keys].flatMap((key) => [
    ...told.flatMap((one) => {
      if (one.kind === "held" || one.key !== key) return [];
      const at = `asked at ${seconds(one.from)} s`, until = `at ${seconds(one.to)} s`;
      return one.kind === "said"
        ? `${key}: ${at}, said to be ${one.isThere ? "there" : "missing"} ${until}`
        : `${key}: ${one.what}, ${at}, ${one.outcome} ${until} ${one.said ?? ""}`;
    }),
    ...history.flatMap(({ revision, writes }) =>
      writes.filter((write) => write.key === key)
        .map(({ value }) => `${key}: revision ${revision}: ${value ?? "removed"}`)
    ),
  ]);
}

/** What etcd and the clients have of the first address of which two leases overlap, in the order of each. */
function evidence(
  faults: readonly string[],
  history: readonly Transaction[],
  told: readonly Told[],
): string[] {
  const [address, at] = /^([\d.]+): .* at (\d+)$/m.exec(faults.join("\n"))?.slice(1) ?? [];
  if (address === undefined) return [];
  const near = Number(at), around = (ms: number) => Math.abs(ms - near) < 15_000;
  const leases = told.flatMap((one) =>
    one.kind === "held" && one.address === address && around(one.from) ? one : []
  );
  const macs = new Set(leases.map(({ mac }) => mac));
  const writes = history.flatMap(({ revision, writes }) =>
    writes.filter(({ key }) => key.endsWith(`/${address}`) || macs.has(key.slice("/member/".length)))
      .map(({ key, value }) => ({ revision, key, value }))
  );
  // Etcd has no times of its own, but leases say when they end.
  const close = writes.flatMap(({ revision, value }) => {
    const [, seconds] = /"seconds":(\d+)/.exec(value ?? "") ?? [];
    return seconds !== undefined && around(Number(seconds) * 1000) ? revision : [];
  });
  return [
    ...leases.map(({ mac, from, to }) =>
      `${from - near} ms: ${mac} holds ${address} for ${Math.round(to - from)} ms`
    ),
    ...writes.filter(({ revision }) => revision >= Math.min(...close) && revision <= Math.max(...close))
      .map(({ revision, key, value }) => `revision ${revision}: ${key} ${value ?? "removed"}`),
  ];
}
