/** Processes with wrong clocks, which compare theirs through etcd. */
import assert from "node:assert/strict";
import { SteadyClock } from "../../services/common/clock.ts";
import { createLog } from "../../services/common/log.ts";
import type { ClockVerdict } from "../../services/nex/clock_verdict.ts";
import { Clocks } from "../../services/nex/clocks.ts";
import { clocksPrefix, keyOf } from "../../services/store/keys.ts";
import { thisProcess } from "../../services/common/machine.ts";
import { Refusal } from "../../services/common/refusal.ts";
import type { Plan } from "../../services/store/types.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
import { LabServices } from "../lab/services.ts";
import { patient } from "../lab/store.ts";
import { until } from "../lab/until.ts";

const HOUR = 3_600_000;
const log = createLog("nexd", { level: "fatal", format: "text" });

/** Processes that compare their clocks; each has its own connection, and a system's clock that can be set. */
class Processes implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();

  constructor(private readonly etcd: LabEtcd) {}

  /**
   * @param ahead Milliseconds that its system's clock is ahead by, as long as that stays, and that its machine slept.
   * @param before What is awaited before each commit.
   */
  start(ahead: { ms: number; slept?: number }, before = (_plan: Plan) => Promise.resolve()): Clocks {
    const store = openStore({ endpoints: [this.etcd.endpoint], schema: nexSchema });
    this.#stack.defer(() => store.close());
    const clock = new SteadyClock(() => Date.now() + ahead.ms, () => performance.now() - (ahead.slept ?? 0));
    const committer = {
      commit: async (plan: Plan) => {
        await before(plan);
        return await store.committer.commit(plan);
      },
      commitGrouped: (plan: Plan) => store.committer.commitGrouped(plan),
    };
    const clocks = new Clocks({ connection: store.connection, committer }, { log, name: "test", clock });
    this.#stack.defer(() => clocks.close());
    return clocks;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

function verdicts(clocks: readonly Clocks[]): ClockVerdict[] {
  return clocks.map(({ verdict }) => verdict);
}

async function agree(clocks: readonly Clocks[], wanted: readonly ClockVerdict[]): Promise<void> {
  await until(`${wanted}`, (see) => {
    see(clocks.map(({ verdict, offset }) => `${verdict} ${offset}`).join(", "));
    return verdicts(clocks).join() === wanted.join();
  });
}

/**
 * Waits until a process says that its clock is right, and asserts that it did so at once when its own time was in etcd: where
 * it waits for a time of others that does not come, that takes 12 s.
 */
async function rightAtOnce(clocks: Clocks, etcd: LabEtcd, name: string): Promise<void> {
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema });
  let published = Infinity;
  try {
    await until("its clock is right", async (see) => {
      if (see(clocks.verdict) === "right") return true;
      for await (const { kvs } of store.connection.list([clocksPrefix])) {
        const names = Array.from(kvs, ({ value }) => JSON.parse(new TextDecoder().decode(value)).name);
        if (names.includes(name)) published = Math.min(published, performance.now());
      }
      return false;
    });
  } finally {
    store.close();
  }
  const waited = performance.now() - published;
  assert.ok(published === Infinity || waited < 8_000, `${waited} ms`);
}

/** What a time proves is less by what it took to arrive, and more with each one that arrives faster. */
function near(what: string, actual: () => number, wanted: () => number, most = 3_000): Promise<void> {
  return until(what, (see) => Math.abs(see(actual() - wanted())) < most);
}

Deno.test("of three processes, the one whose clock is wrong finds out by itself, whether ahead or behind, and counts by the others'", async () => {
  for (const ms of [5 * HOUR, -5 * HOUR]) {
    await using etcd = await labEtcd();
    await using processes = new Processes(etcd);
    const first = processes.start({ ms: 0 });
    assert.equal(first.verdict, "unknown");
    await agree([first], ["right"]);
    const second = processes.start({ ms: 100 });
    await agree([first, second], ["right", "right"]);
    const wrong = processes.start({ ms });
    // It is not right for a moment: it would end leases then.
    const seen = new Set<ClockVerdict>();
    await until("it is compared", () => {
      seen.add(wrong.verdict);
      return wrong.verdict === "wrong";
    });
    assert.ok(!seen.has("right"), [...seen].join());
    await agree([first, second, wrong], ["right", "right", "wrong"]);
    await near("it knows by how much", () => wrong.offset, () => -ms);
    await near("it counts by the others' clocks", () => wrong.now(), Date.now);
    await wrong.close();
    await agree([first, second], ["right", "right"]);
    await until("it is forgotten", (see) => see(first.others) === 1);
  }
});

Deno.test("of two processes that disagree neither is right, until one of them is gone", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const first = processes.start({ ms: 0 });
  await agree([first], ["right"]);
  const second = processes.start({ ms: HOUR });
  await agree([first, second], ["apart", "apart"]);
  await near("the first knows by how much", () => first.offset, () => HOUR);
  await near("the second knows by how much", () => second.offset, () => -HOUR);
  // What the one that is behind gives ends by the other's time: that may be right, and alone soon.
  for (const clocks of [first, second]) {
    await near("leases are given by the later time", () => clocks.latest, () => Date.now() + HOUR);
  }
  await first.close();
  await agree([second], ["right"]);
});

Deno.test("a process that is started after another has died is compared with what that has left, at once", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema, ...patient });
  try {
    const { id: lease } = await store.connection.grantLease(600);
    const dead = (time: number) => JSON.stringify({ name: "dead", time });
    const put = async (id: string, time: number) => {
      await store.committer.commit({ guards: [], ops: [{ put: keyOf.clock(id), value: dead(time), lease }] });
    };
    await put("a", Date.now() - 4_000);
    const first = processes.start({ ms: 0 });
    await rightAtOnce(first, etcd, "test");
    // One whose time is far off could be told from a right one only by another time of it, or by its end.
    await put("b", Date.now() - HOUR);
    const second = processes.start({ ms: 0 });
    await until("it has seen them", () => second.others === 3);
    assert.equal(second.verdict, "unknown");
    await store.connection.revokeLease(lease);
    await agree([second], ["right"]);
  } finally {
    store.close();
  }
});

Deno.test("a system's clock that is set while a process runs changes nothing, but where it is put right, which counts", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const set = { ms: 0 }, late = { ms: -HOUR };
  const first = processes.start(set), second = processes.start({ ms: 0 }), third = processes.start(late);
  await agree([first, second, third], ["right", "right", "wrong"]);
  set.ms = 5 * HOUR;
  late.ms = 0;
  await agree([first, second, third], ["right", "right", "right"]);
  await near("the first has the right time", () => first.now(), Date.now, 1_000);
  await near("so has the third", () => third.now(), Date.now, 1_000);
  assert.ok(Math.abs(first.stepped - 5 * HOUR) < 1_000);
  // A process that is started now has the system's time: leases are stored to end by the later, and ended by the earlier.
  assert.ok(Math.abs(first.latest - Date.now() - 5 * HOUR) < 1_000);
  assert.ok(Math.abs(first.earliest - Date.now()) < 1_000);
  set.ms = -5 * HOUR;
  assert.ok(Math.abs(first.latest - Date.now()) < 3_000);
  assert.ok(Math.abs(first.earliest - Date.now() + 5 * HOUR) < 1_000);
});

Deno.test("processes that agree publish once a minute, and one whose machine slept is found out within seconds all the same", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const sleeper = { ms: 0, slept: 0 };
  const clocks = [processes.start({ ms: 0 }), processes.start({ ms: 0 }), processes.start(sleeper)];
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema, ...patient });
  try {
    await agree(clocks, ["right", "right", "right"]);
    const published = async () => {
      const found: { every?: number; modRevision: number }[] = [];
      for await (const { kvs } of store.connection.list([clocksPrefix])) {
        for (const { value, modRevision } of kvs) {
          found.push({ ...JSON.parse(new TextDecoder().decode(value)), modRevision });
        }
      }
      return found.filter(({ every }) => every === 60_000);
    };
    await until("each says so", async (see) => see(await published()).length === 3);
    // Each hears of a process that comes and goes, answers it, and has seen all answers before it goes: nothing is due then.
    const key = keyOf.clock("guest"), value = JSON.stringify({ name: "guest", time: Date.now() });
    const come = await store.committer.commit({ guards: [], ops: [{ put: key, value }] });
    assert.ok(come.committed);
    await until("each has answered", async () => {
      return (await published()).filter(({ modRevision }) => modRevision > come.revision).length === 3;
    });
    await store.committer.commit({ guards: [], ops: [{ remove: key }] });
    await until("it is gone", () => clocks.every(({ others }) => others === 2));
    // It has an hour less than the others; what its system's clock has by now is not right either.
    sleeper.slept = HOUR;
    sleeper.ms = -0.8 * HOUR;
    await agree(clocks, ["right", "right", "wrong"]);
    // Right again, which counts at once too.
    sleeper.ms = 0;
    await agree(clocks, ["right", "right", "right"]);
  } finally {
    store.close();
  }
});

Deno.test("a time that was given up is removed from etcd, also where the commit that was to remove it failed", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const late = { ms: -HOUR };
  let failures = 0;
  const first = processes.start({ ms: 0 }), second = processes.start({ ms: 0 });
  const third = processes.start(late, ({ ops }) => {
    if (failures > 0 || !ops.some((op) => "remove" in op)) return Promise.resolve();
    failures++;
    return Promise.reject(new Refusal("unavailable", "etcd is away for a moment"));
  });
  await agree([first, second, third], ["right", "right", "wrong"]);
  late.ms = 0;
  await agree([first, second, third], ["right", "right", "right"]);
  assert.equal(failures, 1);
  await until("its former time is gone", () => first.others === 2 && third.others === 2);
});

Deno.test("what processes have left that ended on this machine, or before its last boot, keeps no new one waiting", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema, ...patient });
  try {
    const { id: lease } = await store.connection.grantLease(600);
    const ended = new Deno.Command("true").spawn(), own = thisProcess();
    await ended.status;
    const left = [{ ...own, pid: ended.pid }, { ...own, pid: 1, up: own.up + 600 }];
    for (const [i, process] of left.entries()) {
      const value = JSON.stringify({ name: "dead", time: Date.now() - 60_000, ...process });
      await store.committer.commit({ guards: [], ops: [{ put: keyOf.clock(`${i}`), value, lease }] });
    }
    const clocks = processes.start({ ms: 0 });
    await rightAtOnce(clocks, etcd, "test");
    assert.equal(clocks.others, 2);
  } finally {
    store.close();
  }
});

Deno.test("a process that cannot publish its time says why, and goes on without ending leases until it can", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  let denied = true;
  const clocks = processes.start(
    { ms: 0 },
    () => denied ? Promise.reject(new Refusal("unavailable", "etcd: permission denied")) : Promise.resolve(),
  );
  assert.equal(clocks.verdict, "unknown");
  await agree([clocks], ["apart"]);
  const why = () => clocks.uncompared?.why;
  await until("it says why", (see) => /permission denied/.test(see(why()) ?? ""));
  denied = false;
  await agree([clocks], ["right"]);
  assert.equal(why(), undefined);
});

Deno.test("times that arrive late, as after a stop of etcd or of the process, make no clock look wrong", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const clocks = [0, 0, 0].map((ms) => processes.start({ ms }));
  await agree(clocks, ["right", "right", "right"]);
  const seen = new Set<ClockVerdict>();
  let largest = 0;
  const watch = setInterval(() => {
    for (const { verdict, offset } of clocks) {
      seen.add(verdict);
      largest = Math.max(largest, Math.abs(offset));
    }
  }, 20);
  try {
    etcd.freeze();
    // So long is the fault.
    await new Promise((resolve) => setTimeout(resolve, 7_000));
    etcd.thaw();
    // Each publishes again within five seconds of that.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
  } finally {
    clearInterval(watch);
  }
  assert.deepEqual([...seen], ["right"]);
  assert.ok(largest < 1_000, `${largest}`);
});

Deno.test("a nexd whose clock is five hours ahead ends no lease, says so, and ends them once its clock agrees", async () => {
  await using etcd = await labEtcd();
  await using processes = new Processes(etcd);
  const right = [processes.start({ ms: 0 }), processes.start({ ms: 0 })];
  await agree(right, ["right", "right"]);
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema, ...patient });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => store.close());
  const now = Math.floor(Date.now() / 1000);
  const lease = (n: number, seconds: number) => {
    const mac = `00:00:99:00:00:0${n}`, address = `10.0.0.${n}`;
    const record = { mac, net: "mini", dynamic: true, ip4: { address, expires: { seconds } } };
    return [
      { put: keyOf.member(mac), value: JSON.stringify(record) },
      { put: keyOf.claimIp(address), value: mac },
      { put: keyOf.memberOf("mini", mac), value: mac },
    ];
  };
  const network = { name: "mini", subnet4: "10.0.0.0/24", Range4: { begin: "10.0.0.1", end: "10.0.0.99" } };
  const ops = [
    { put: keyOf.network("mini"), value: JSON.stringify(network) },
    ...lease(1, now + 3600),
    ...lease(2, now - 60),
  ];
  await store.committer.commit({ guards: [], ops });
  const there = async (n: number) =>
    await store.connection.get(keyOf.member(`00:00:99:00:00:0${n}`)) !== undefined;

  const services = stack.use(await LabServices.create(etcd.endpoint));
  const nexd = await services.start("nexd", { STRAND_TEST_CLOCK_OFFSET: "18000" });
  const told = /this clock is (\d+) s ahead of most of 2 others: no lease is ended/;
  // Less by what it took its time to arrive at the others.
  const ahead = Number(told.exec(await nexd.line(told))?.[1]);
  assert.ok(ahead > 17_970 && ahead <= 18_000, `${ahead}`);
  await until("its status says so", async (see) => told.test(see(JSON.stringify(await services.status()))));
  assert.ok(await there(1) && await there(2));
  await nexd.stop();
  assert.ok(await there(1) && await there(2));
  await services.start("nexd");
  await until("the one that is over is ended", async () => !await there(2));
  assert.ok(await there(1));
});
