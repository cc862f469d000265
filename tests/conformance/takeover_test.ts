/** Stores that Nex's daemons filled, taken over by nexd and served. */
import assert from "node:assert/strict";
import type { TakeoverPreview } from "../../services/nex/takeover_preview.ts";
import { openStore, type Store } from "../../services/store/store.ts";
import { type NexRecord, nexSchema } from "../../services/store/records.ts";
import { labEtcd } from "../lab/etcd.ts";
import { run, strandCommand } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";
import { clients } from "./dhcp_clients.ts";
import { DhcpLab } from "./dhcp_lab.ts";

const fixture = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/nex_store.json", import.meta.url)),
) as Record<string, string>;

Deno.test("A store that the old daemons filled is served without entering anything again", async () => {
  await using etcd = await labEtcd();
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema });
  try {
    const ops = Object.entries(fixture).map(([put, value]) => ({ put, value }));
    assert.ok((await store.committer.commit({ guards: [], ops })).committed);
    await using services = await LabServices.create(etcd.endpoint);
    // A DNS server on its own must cope with the store as it was left.
    await services.start("dnsd");
    assert.equal(await services.dig("whiskey.mini.net"), "10.0.0.10");
    assert.equal(await services.dig("gw.lab.mini.net"), "10.9.0.1");
    await services.start("nexd");
    assert.equal(await services.nex("get", "networks"), "mini\nstatic\n");
    await until(
      "the lease that had run out is swept",
      async () => !(await services.nex("get", "members", "mini")).includes("02:aa:00:00:00:02"),
    );
    const members = (await services.nex("get", "members", "mini")).replace(/ +/g, " ").trim().split("\n");
    assert.equal(members[0], "00:00:11:11:00:01 whiskey.mini.net 10.0.0.10");
    assert.match(members[1] ?? "", /^00:00:22:22:00:01 tango\.mini\.net 10\.0\.0\.11 \(\d+:\d\d:\d\d\)$/);
    assert.equal(members[2], "00:00:33:33:00:01 foxtrot.mini.net 10.0.0.12");
    assert.match(members[3] ?? "", /^02:aa:00:00:00:01 .*10\.0\.0\.13 \(/);
    assert.equal(members.length, 4);
    await until(
      "the name of a member that got its address now",
      async () => await services.dig("foxtrot.mini.net") === "10.0.0.12",
    );
    assert.equal(await services.dig("-x", "10.0.0.13"), "", "a client without a name has no PTR");

    await store.mirror.ready();
    await until(
      "the old leftovers are gone",
      () => !store.mirror.get("/pool/mini") && !store.mirror.get("/member/ip4/10.0.0.5"),
    );
    const whiskey = await store.connection.get("/member/00:00:11:11:00:01");
    const record = JSON.parse(new TextDecoder().decode(whiskey?.value)) as Record<string, unknown>;
    assert.equal(record["owner"], "ops", "fields that are not ours stay");
    assert.equal(record["name"], "whiskey.mini.net");
  } finally {
    store.close();
  }
});

/** Everything in etcd but what a process has while it lives: its clock and its fence. */
async function held({ connection }: Store<NexRecord>): Promise<Record<string, string>> {
  const all: Record<string, string> = {}, decoder = new TextDecoder();
  for await (const { kvs } of connection.list(["/"])) {
    for (const { key, value } of kvs) {
      if (!/^\/strand\/(clocks|fence)\//.test(key)) all[key] = decoder.decode(value);
    }
  }
  return all;
}

function sorted(records: Record<string, string>): [string, string][] {
  return Object.entries(records).sort(([a], [b]) => a < b ? -1 : 1);
}

async function read(name: string): Promise<Record<string, string>> {
  return JSON.parse(await Deno.readTextFile(new URL(`../fixtures/${name}.json`, import.meta.url)));
}

/** An etcd that holds `stored`, with a segment, and services of this host. */
async function filled(stored: Record<string, string>, stack: AsyncDisposableStack) {
  const lab = stack.use(await DhcpLab.create());
  const ops = Object.entries(stored).map(([put, value]) => ({ put, value }));
  assert.ok((await lab.store.committer.commit({ guards: [], ops })).committed);
  const services = stack.use(await LabServices.create(lab.etcd.endpoint));
  return { lab, services };
}

/** `strand takeover --check`, as JSON. */
async function check(services: LabServices) {
  const command = ["takeover", "--check", "-o", "json", "--config", `${services.directory}/nex.yml`];
  const { code, stdout } = await run(strandCommand(command), { mayFail: true, timeout: 300_000 });
  return { code, ...JSON.parse(stdout) as TakeoverPreview & { counts: Record<string, number> } };
}

/** The address that udhcpc gets on a host of its own. */
async function leased(lab: DhcpLab, name: string, mac: string): Promise<string | undefined> {
  const [udhcpc] = clients;
  assert.ok(udhcpc);
  const line = await udhcpc.start(await lab.client(name, mac)).line(udhcpc.bound, 60_000);
  return /(\d+\.){3}\d+/.exec(line)?.[0];
}

for (const layout of ["nex_store_newer", "nex_store_mixed"]) {
  Deno.test(`${layout}.json is taken over byte for byte by two nexds at once, and clients keep what they have`, async () => {
    const before = await read(layout), after = await read(`${layout}_after`);
    await using stack = new AsyncDisposableStack();
    const { lab, services } = await filled(before, stack);
    const others = stack.use(await LabServices.create(lab.etcd.endpoint));
    const planned = await check(services);
    assert.equal(planned.code, 0);
    for (const { key, ...fate } of planned.keys) {
      assert.equal(fate.action === "remove", !(key in after), key);
      assert.equal(fate.action === "write" ? fate.value : before[key], after[key] ?? before[key], key);
    }
    assert.equal(planned.decisions.length, layout === "nex_store_mixed" ? 5 : 0);
    assert.deepEqual(sorted(await held(lab.store)), sorted(before), "it only looked");
    await services.start("dnsd");
    assert.equal(await services.dig("whiskey.mini.net"), "10.0.0.10");
    assert.equal((await services.dig("web.mini.net")).split("\n").sort().join(" "), "10.0.0.14 10.0.0.15");

    const nexds = await Promise.all([services, others].map((some) => some.start("nexd")));
    await until("it is taken over", async () => {
      return JSON.stringify(sorted(await held(lab.store))) === JSON.stringify(sorted(after));
    }).catch(async () => assert.deepEqual(sorted(await held(lab.store)), sorted(after)));
    for (const decision of planned.decisions) {
      await until(
        `a nexd says: ${decision}`,
        () => nexds.some(({ lines }) => lines.some((line) => line.includes(decision))),
      );
    }
    assert.deepEqual((await check(services)).counts, {
      write: 0,
      remove: 0,
      keep: Object.keys(after).length,
      "not understood": 0,
    });
    assert.match(
      await services.nex("get", "members", "mini"),
      /00:00:22:22:00:01 +tango\.mini\.net +10\.0\.0\.11 +\(/,
    );
    assert.match(await services.nex("get", "network", "mini"), /^lease_duration: +7200s$/m);
    await until(
      "dnsd has followed",
      async (see) => see(await services.dig("-x", "10.0.0.15")) === "web.mini.net.",
    );
    assert.equal((await services.dig("web.mini.net")).split("\n").length, 2);

    await lab.replica(await lab.server("server", "10.0.0.1/24"));
    assert.equal(await leased(lab, "tango", "00:00:22:22:00:01"), "10.0.0.11");
    assert.equal(await leased(lab, "guest", "02:aa:00:00:00:01"), "10.0.0.13");
    assert.equal(
      await leased(lab, "new", "02:aa:00:00:00:02"),
      layout === "nex_store_mixed" ? "10.0.0.18" : "10.0.0.16",
    );
  });
}

Deno.test("A store with a key that is not understood stays as it is until an operator has seen to it", async () => {
  const [key, value] = ["/member/lease/10.0.0.16", '{"mac":"00:00:99:99:00:01"}'];
  const before: Record<string, string> = { ...await read("nex_store_newer"), [key]: value };
  await using stack = new AsyncDisposableStack();
  const { lab, services } = await filled(before, stack);
  const { code, keys } = await check(services);
  assert.equal(code, 1);
  assert.deepEqual(keys.filter(({ action }) => action !== "keep"), [
    { key, action: "not understood", reason: "no key of a layout of Nex that is known" },
  ]);
  await services.start("dnsd");
  const nexd = await services.start("nexd");
  const replica = await lab.replica(await lab.server("server", "10.0.0.1/24"));
  assert.equal(await services.dig("whiskey.mini.net"), "10.0.0.10");
  assert.match(await services.nex("get", "members", "mini"), /tango\.mini\.net +10\.0\.0\.11/);
  const named = new RegExp(`${key}.*no key of a layout of Nex that is known`);
  let status: Awaited<ReturnType<typeof services.status>>["services"] = [];
  await until("both say how they are", async (see) => {
    status = see(await services.status()).services.filter(({ service }) => /nexd|dnsd/.test(service));
    return status.length === 2 && status.every(({ reachable }) => reachable);
  });
  for (const { ready, problems } of status) {
    assert.equal(ready, false);
    assert.match(problems[0]?.what ?? "", named);
    assert.match(problems[0]?.fix ?? "", /strand takeover --check/);
  }
  await nexd.line(new RegExp(`${key} in etcd is not understood`));
  const refused = await services.tryNex("delete", "member", "mini", "00:00:22:22:00:01");
  assert.match(refused.stderr, named);
  const machine = await lab.client("new", "02:aa:00:00:00:02"), [udhcpc] = clients;
  const early = udhcpc?.start(machine);
  await until(
    "a new client is not answered",
    (see) => see(replica.server.counts.ignored["store-away"]) > 0,
    60_000,
  );
  // It could have the address that a member without one is given in the take-over.
  await early?.stop();
  assert.deepEqual(sorted(await held(lab.store)), sorted(before));

  await lab.store.committer.commit({ guards: [], ops: [{ remove: key }] });
  const after = await read("nex_store_newer_after");
  await until("it is taken over", async () => {
    const now = await held(lab.store);
    return Object.entries(after).every(([key, value]) => now[key] === value) && !("/pool/mini" in now);
  });
  assert.match(await udhcpc?.start(machine).line(/did bound/, 60_000) ?? "", /10\.0\.0\.16/);
  await until("nexd is ready", async () => {
    return (await services.status()).services.some(({ service, ready }) => service === "nexd" && ready);
  });
  // What an old daemon writes later is taken over when it comes; what is not understood stops everything again.
  const late = "/member/mac/00:00:22:22:00:01", record = after["/member/00:00:22:22:00:01"] ?? "";
  await lab.store.committer.commit({ guards: [], ops: [{ put: late, value: record }] });
  await until("a late record is taken over", async () => !(late in await held(lab.store)));
  await lab.store.committer.commit({ guards: [], ops: [{ put: key, value }] });
  await until("nexd is not ready", async () => {
    return (await services.status()).services.some(({ service, ready }) => service === "nexd" && !ready);
  });
});
