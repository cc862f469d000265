/** What `strand status` says of a cluster in which something is wrong with one member, or with all. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { etcdStatus } from "../../services/store/etcd_status.ts";
import { etcdBinary } from "../../services/store/etcd_process.ts";
import { labCluster } from "../lab/etcd.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";

Deno.test("status tells a full cluster once, a member that hangs from one that is not running, and no majority from both", async () => {
  const members = await labCluster(3, { args: ["--quota-backend-bytes=2000000"] });
  try {
    const endpoints = members.map(({ endpoint }) => endpoint), all = endpoints.join(",");
    const status = () => etcdStatus(endpoints, undefined);
    // A busy machine's etcd may not answer in the time that status has.
    const shows = async (what: string, holds: (rows: Awaited<ReturnType<typeof status>>) => boolean) => {
      let rows = await status();
      await until(what, async (see) => holds(see(rows = await status())));
      return rows;
    };
    const well = await shows("all are ready", (rows) => rows.every(({ ready }) => ready));
    assert.deepEqual(well.map(({ ready }) => ready), [true, true, true]);
    const { stdout: version } = await run([await etcdBinary(), "--version"]);
    const isOld = /^etcd Version: 3\.4\./m.test(version), [warning = ""] = well[0]?.warnings ?? [];
    assert.match(warning, isOld ? /^etcd 3\.4\.\d+ is no longer supported/ : /^$/);

    const etcdctl = `PATH=${dirname(await etcdBinary())}:$PATH ETCDCTL_API=3 etcdctl --endpoints=${all}`;
    const fill = `head -c 400000 /dev/zero | tr '\\0' x | ${etcdctl} put /filler`;
    await until("it is full", async (see) => {
      const { stderr } = await run(["sh", "-c", fill], { mayFail: true });
      return /space exceeded/.test(see(stderr));
    });
    const full = await shows(
      "none is ready",
      (rows) =>
        rows.every(({ ready, problems }) => !ready && problems.every(({ what }) => /NOSPACE/.test(what))),
    );
    assert.deepEqual(full.map(({ ready }) => ready), [false, false, false]);
    const alarms = full.flatMap(({ problems }) => problems);
    assert.match(alarms[0]?.what ?? "", /^etcd has raised the alarm NOSPACE at http:/);
    assert.ok(alarms[0]?.fix.includes(`etcdctl --endpoints=${all} alarm disarm`));
    const raisedBy = new Set(alarms.map(({ what }) => what));
    assert.equal(raisedBy.size, alarms.length, "each is told once");

    await members[1]?.kill();
    members[2]?.freeze();
    const expected = [
      // Before it has noticed that it lost its leader, it hangs at a read.
      /fewer than half of its members see each other → bring .* back|lets no key be read/,
      /does not answer: connect ECONNREFUSED .* → start it/,
      /does not answer: no (answer|connection) .* → check the network to it/,
    ];
    const [left] = await shows("what is wrong with each", (rows) =>
      rows.every(({ problems }, i) => {
        const told = problems.map(({ what, fix }) => `${what} → ${fix}`).join("; ");
        return expected[i]?.test(told) ?? false;
      }));
    assert.equal(left?.ready, false);
  } finally {
    for (const member of members) await member[Symbol.asyncDispose]();
  }
});
