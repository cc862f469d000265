import assert from "node:assert/strict";
import { WINDOW } from "./past.ts";
import { endpoint, endpointKey, FakeEtcd } from "./testing.ts";

const MAC = "52:54:00:00:00:06", mac = [MAC];
const NOW = Date.parse("2026-02-03T00:00:00Z");

const texts = (rows: readonly { readonly what: string }[]) => rows.map(({ what }) => what);

/** A machine that comes, is moved, renamed and leased, and goes. */
function life(etcd: FakeEtcd): void {
  etcd.write({
    "/sc-net/strand/net/n1/member/52:54:00:00:00:06": { mac: MAC, name: "web", ip4: "10.0.0.6" },
  });
  etcd.write({ [endpointKey("a")]: endpoint("a", "host1", { strand_name: "web" }) });
  // By one transaction, as an agent moves a machine.
  etcd.write({
    [endpointKey("a")]: undefined,
    [endpointKey("b")]: endpoint("b", "host2", { strand_name: "web" }),
  });
  for (const hour of ["10", "11", "12"]) {
    const lease = { kind: "dhcp", expires_at: `2026-02-03T${hour}:00:00Z` };
    etcd.write({ [endpointKey("b")]: endpoint("b", "host2", { strand_name: "web", ...lease }) });
  }
  etcd.write({ [endpointKey("b")]: undefined });
}

const LIFE = [
  "left host2, with a lease until 2026-02-03T12:00:00Z: name web, address 10.0.0.6, MAC 52:54:00:00:00:06",
  "its lease was renewed until 2026-02-03T12:00:00Z, 2 times in a row",
  "kind netns → dhcp, lease until 2026-02-03T10:00:00Z",
  "moved from host1 to host2: name web, address 10.0.0.6, MAC 52:54:00:00:00:06",
  "came to host1: name web, address 10.0.0.6, MAC 52:54:00:00:00:06",
  "it was reserved: name web, address 10.0.0.6",
];

Deno.test("a machine's history is what happened while the dashboard runs, with the time at which it saw it", async () => {
  const etcd = new FakeEtcd(), history = await etcd.history(() => NOW);
  await history.of(mac);
  life(etcd);
  const { rows, reach } = await history.of(mac);
  assert.deepEqual(texts(rows), LIFE);
  assert.deepEqual(rows.map(({ by }) => by), [
    "",
    "agent of host2",
    "agent of host2",
    "agent of host2",
    "agent of host1",
    "nexd",
  ]);
  assert.deepEqual(rows.map(({ source }) => source), LIFE.map(() => "seen"));
  assert.deepEqual(rows.map(({ revision }) => revision), [8, 7, 5, 4, 3, 2]);
  assert.equal(rows[0]?.at, NOW);
  assert.equal(reach.why, "that is when this etcd began");
  for (const id of ["10.0.0.6", "WEB", "b"]) assert.ok((await history.of([id])).rows.length > 2, id);
  assert.deepEqual((await history.of(["10.0.0.7"])).rows, []);
});

Deno.test("what happened before the dashboard was started comes from etcd's past, which is read once", async () => {
  const etcd = new FakeEtcd();
  life(etcd);
  const history = await etcd.history(() => NOW);
  etcd.write({ [endpointKey("c")]: endpoint("c", "host3", { created_at: "2026-02-03T00:00:00Z" }) });
  const both = await Promise.all([history.of(mac), history.of(mac)]);
  for (const { rows, reach } of both) {
    assert.deepEqual(texts(rows), ["came to host3: address 10.0.0.6, MAC 52:54:00:00:00:06", ...LIFE]);
    // What has no time of its own was before the next that has one.
    assert.deepEqual(rows.map(({ at, before }) => [at !== undefined, before !== undefined]), [
      ...[[true, false], [false, true], [false, true], [false, true], [true, false], [true, false], [
        false,
        true,
      ]],
    ]);
    assert.equal(rows.at(-1)?.before, Date.parse("2026-01-02T03:04:05.678Z"));
    assert.equal(reach.revision, 1);
  }
  await history.of(mac);
  assert.deepEqual(etcd.watched, [1]);
});

Deno.test("of what etcd has compacted only the state is known, and the reach says so", async () => {
  const etcd = new FakeEtcd();
  life(etcd);
  etcd.compact(6);
  const { rows, reach } = await (await etcd.history(() => NOW)).of(mac);
  // The first renewal that is left is known by the record as it was at the compaction.
  assert.deepEqual(texts(rows), [LIFE[0], "its lease was renewed until 2026-02-03T12:00:00Z"]);
  assert.deepEqual([reach.revision, reach.why], [7, "etcd has compacted what was before"]);
  assert.deepEqual(etcd.watched, [1, 7]);
  // All of it is compacted: nothing is left to be read.
  etcd.compact(8);
  const empty = await (await etcd.history(() => NOW)).of(mac);
  assert.deepEqual([empty.rows, empty.reach.revision], [[], 9]);
});

Deno.test("no more of etcd's past is read than so many revisions, and earlier versions of what is there", async () => {
  const etcd = new FakeEtcd();
  etcd.write({ [endpointKey("a")]: endpoint("a", "host1") });
  etcd.write({ [endpointKey("a")]: endpoint("a", "host1", { target_veth_ip: "10.0.0.7/24" }) });
  for (let i = 0; i < WINDOW; i++) etcd.revision++;
  etcd.write({ [endpointKey("a")]: endpoint("a", "host2", { target_veth_ip: "10.0.0.7/24" }) });
  const history = await etcd.history(() => NOW), newest = etcd.revision;
  const { rows, reach } = await history.of(mac, [endpointKey("a")]);
  assert.deepEqual(etcd.watched, [newest - WINDOW + 1]);
  assert.deepEqual(texts(rows), [
    "moved from host1 to host2",
    "address 10.0.0.6 → 10.0.0.7",
    "came to host1: address 10.0.0.6, MAC 52:54:00:00:00:06",
  ]);
  assert.equal(reach.revision, newest - WINDOW + 1);
  assert.match(reach.why, /^of what was before this dashboard started 5,000 revisions are read$/);
  // Versions of the past do not change: they are read once.
  const { read } = etcd;
  await history.of(mac, [endpointKey("a")]);
  assert.equal(etcd.read, read);
});

Deno.test("an etcd that does not tell its past in time is asked for less of it, and the page says what is missing", async () => {
  const etcd = new FakeEtcd(), history = await etcd.history(() => NOW);
  life(etcd);
  etcd.revision += WINDOW;
  etcd.write({ [endpointKey("z")]: endpoint("z", "host1") });
  const later = await etcd.history(() => NOW, 100);
  etcd.hangs = true;
  const { rows, reach } = await later.of(mac);
  assert.deepEqual(rows, []);
  assert.match(reach.why, /^what was before this dashboard started is not read yet/);
  etcd.hangs = false;
  const again = await later.of(mac);
  assert.equal(again.reach.revision, etcd.revision - WINDOW / 4 + 1);
  assert.equal((await history.of(mac)).rows.length, 7);
});

Deno.test("a page waits less than a second for etcd's past, and is told when the attempt to read it is over", async () => {
  const etcd = new FakeEtcd(), over = Promise.withResolvers<void>();
  life(etcd);
  const history = await etcd.history(() => NOW, 1500, over.resolve);
  etcd.hangs = true;
  const attempt = over.promise.then(() => "the attempt");
  const page = history.of(mac).then(({ reach: { why } }) => why);
  assert.match(await Promise.race([attempt, page]), /is not read yet$/);
  await attempt;
});

Deno.test("a member of a LAN: its lease, its names, and what became of it", async () => {
  const etcd = new FakeEtcd(), history = await etcd.history(() => NOW), key = `/member/${MAC}`;
  await history.of(mac);
  const lease = (seconds: number) => ({ address: "10.1.0.20", expires: { seconds } });
  etcd.write({
    [key]: { mac: MAC, net: "mini", dynamic: true, client_name: "laptop", ip4: lease(1_800_000_000) },
  });
  for (const i of [1, 2, 3]) {
    const ip4 = lease(1_800_000_000 + 3600 * i);
    etcd.write({ [key]: { mac: MAC, net: "mini", dynamic: true, client_name: "laptop", ip4 } });
  }
  etcd.write({
    [key]: { mac: MAC, net: "mini", name: "tango.mini.net", ip4: lease(1_800_010_800) },
    [`/member/net/mini/${MAC}`]: MAC,
    "/member/ip4/10.1.0.20": MAC,
  });
  etcd.write({ [key]: undefined, [`/member/net/mini/${MAC}`]: undefined });
  const { rows } = await history.of(["tango"]);
  assert.deepEqual(texts((await history.of(mac)).rows), [
    "its record was removed (lease until 2027-01-15T11:00:00Z): name tango.mini.net, address 10.1.0.20; it is no member any more",
    "name none → tango.mini.net, client's own name laptop → none; it was made a member",
    "its lease was renewed until 2027-01-15T11:00:00Z, 3 times in a row",
    "came, with a lease until 2027-01-15T08:00:00Z: address 10.1.0.20, client's own name laptop",
  ]);
  assert.equal(rows.length, 2);
  assert.deepEqual((await history.of(mac)).rows.map(({ by }) => by), ["nexd", "nexd", "dhcpd", "dhcpd"]);
});

Deno.test("of a store that was put back to an older revision, nothing is said that the other one had", async () => {
  const etcd = new FakeEtcd();
  life(etcd);
  const history = await etcd.history(() => NOW);
  assert.equal((await history.of(mac)).rows.length, 6);
  etcd.log.length = 0;
  etcd.revision = 2;
  etcd.write({ [endpointKey("q")]: endpoint("q", "host9", { created_at: "" }) });
  const { rows } = await history.of(mac);
  assert.deepEqual(texts(rows), ["came to host9: address 10.0.0.6, MAC 52:54:00:00:00:06"]);
  assert.deepEqual(rows.map(({ revision }) => revision), [3]);
});
