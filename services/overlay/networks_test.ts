import assert from "node:assert/strict";
import { BitSet } from "./bit_set.ts";
import { planApplied, planLeave, planPresence } from "./hosts.ts";
import { networkNamed, planCreateNetwork, planDeleteNetwork, planFinishDeletion } from "./networks.ts";
import { endpointRecord, lab, network } from "./testing.ts";

const now = "2026-11-20T20:00:00.123456789Z";

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

const options = (n: number, maxVni = 999_999, minVni = 1) => ({
  newId: uuid(n),
  now,
  namespacePath: (id: string) => `/var/run/netns/sc-ns-${id}`,
  minVni,
  maxVni,
  vxlanPort: 4789,
});

/** As SAND's older agent does it. */
function join(it: ReturnType<typeof lab>, host: string) {
  const value = { id: network.id, created_at: now };
  it.put({ [it.keys.hostNetwork(host, network.id)]: value, [it.keys.networkHost(network.id, host)]: value });
}

Deno.test("planCreateNetwork() fills in what is left out and claims the network's own addresses", () => {
  const it = lab();
  const { record, plan } = planCreateNetwork(it.view, { id: "", name: "" }, options(1));
  assert.deepEqual(record, {
    id: uuid(1),
    created_at: now,
    name: `net-sc-${uuid(1)}`,
    type: "overlay",
    ns_handle_path: `/var/run/netns/sc-ns-${uuid(1)}`,
    vxlan_vni: 1,
    ip_range: "10.0.0.0/24",
    gateway: "10.0.0.1/24",
  });
  assert.ok(it.commit(plan));
  assert.deepEqual(it.json(`/sc-net/network/${uuid(1)}`), record);
  const { bit_set, ...claims } = it.json(`/sc-net/ipalloc/${uuid(1)}`);
  assert.deepEqual(claims, { id: uuid(1), address_range: "10.0.0.0/24", address_count: 256 });
  assert.deepEqual([...BitSet.decode(bit_set).ones()], [0, 1, 255]);
  assert.equal(planCreateNetwork(it.view, {}, options(1)).plan, undefined, "again, after a lost answer");
});

Deno.test("planCreateNetwork() takes a range, a gateway in either form and an id of the user's", () => {
  const { view } = lab();
  for (
    const [request, wanted] of [
      [{ ip_range: "10.64.0.0/10" }, { ip_range: "10.64.0.0/10", gateway: "10.64.0.1/10" }],
      [{ ip_range: "192.168.1.4/30", gateway: "192.168.1.6" }, { gateway: "192.168.1.6/30" }],
      [{ gateway: "10.0.0.254/24", type: "overlay" }, { gateway: "10.0.0.254/24", type: "overlay" }],
      [{ id: "320A669F-E465-4806-AB46-F2E6620C4311", name: "blue" }, { id: network.id, name: "blue" }],
    ]
  ) {
    const { record } = planCreateNetwork(view, request ?? {}, options(1));
    assert.deepEqual({ ...record, ...wanted }, record);
  }
});

Deno.test("planCreateNetwork() refuses with field, value and what would be right", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  for (
    const [request, code, message] of [
      [{ id: "x" }, "invalid", /^id: "x" is not a v4 UUID/],
      [{ id: "320a669f-e465-1806-ab46-f2e6620c4311" }, "invalid", /not a v4 UUID/],
      [{ id: network.id }, "exists", /exists already, with the name blue/],
      [{ type: "macvlan" }, "invalid", /^type: "macvlan" .* only overlay/],
      [{ name: "a\nb" }, "invalid", /^name: /],
      [{ ip_range: "10.0.0.7/24" }, "invalid", /host bits set: did you mean 10\.0\.0\.0\/24\?/],
      [{ ip_range: "10.0.0.0/9" }, "invalid", /wider than a \/10/],
      [{ ip_range: "10.0.0.0/31" }, "invalid", /no room/],
      [{ ip_range: "2001:db8::/64" }, "invalid", /not an IPv4 range/],
      [{ ip_range: "ten" }, "invalid", /^ip_range: "ten"/],
      [{ gateway: "10.0.1.1" }, "invalid", /outside the range 10\.0\.0\.0\/24/],
      [{ gateway: "10.0.0.1/16" }, "invalid", /another prefix length/],
      [{ gateway: "10.0.0.255" }, "invalid", /network or broadcast address/],
      [{ gateway: "gw" }, "invalid", /in CIDR form, like 10\.0\.0\.1\/24/],
    ] as const
  ) {
    assert.throws(() => planCreateNetwork(it.view, request, options(1)), { code, message });
  }
});

Deno.test("VNIs are the lowest free, different for requests at the same time, and run out with a sentence", () => {
  const it = lab();
  const plans = [1, 2].map((n) => planCreateNetwork(it.view, {}, options(n)));
  assert.ok(it.commit(plans[0]?.plan));
  assert.ok(!it.commit(plans[1]?.plan), "planned from the same view");
  for (const n of [2, 3]) assert.ok(it.commit(planCreateNetwork(it.view, {}, options(n)).plan));
  it.commit(planDeleteNetwork(it.view, uuid(2), now).plan);
  assert.equal(planCreateNetwork(it.view, {}, options(4, 3)).record.vxlan_vni, 2);
  it.commit(planCreateNetwork(it.view, {}, options(4, 3)).plan);
  assert.throws(() => planCreateNetwork(it.view, {}, options(5, 3)), {
    code: "exhausted",
    message: /none of the 3 VNIs is left/,
  });
});

Deno.test("no VNI is given while an old agent gives one", () => {
  const it = lab();
  const { plan } = planCreateNetwork(it.view, {}, options(1));
  it.put({ "/etcd-lock/vni-idgen/694d": "" });
  assert.ok(!it.commit(plan));
});

Deno.test("a network whose record cannot be read keeps its VNI and no other network from being made, and is deleted", () => {
  const bad: readonly (readonly [record: unknown, vni: number, reason: RegExp])[] = [
    [{ ...network, ip_range: "" }, 2, /^ip_range: no IPv4 CIDR, like 10\.0\.0\.0\/24 \(""\)$/],
    [{ ...network, gateway: "10.0.0.1" }, 2, /^gateway: no IPv4 address in CIDR form/],
    [{ ...network, id: "another" }, 2, /^id: "another" under the key of/],
    [{ ...network, vxlan_vni: "1" }, 1, /^vxlan_vni/],
    ["bad", 1, /expected object/],
    [null, 1, /expected object/],
  ];
  for (const [record, vni, reason] of bad) {
    const it = lab();
    it.put({
      [it.keys.network(network.id)]: record,
      [it.keys.allocation(network.id)]: "bad",
      [it.keys.cursor(network.id)]: "bad",
    });
    assert.match(it.view.broken(network.id) ?? "", reason);
    assert.equal([...it.view.networks()].length, 1);
    const { record: made, plan } = planCreateNetwork(it.view, {}, options(1));
    assert.equal(made.vxlan_vni, vni, JSON.stringify(record));
    assert.ok(it.commit(plan));
    assert.throws(() => planCreateNetwork(it.view, { id: network.id }, options(2)), { code: "exists" });
    assert.ok(it.commit(planDeleteNetwork(it.view, network.id, now).plan));
    assert.deepEqual([...it.view.networks()].map(({ id }) => id), [made.id]);
    assert.deepEqual(it.keysUnder("/sc-net/"), [it.keys.allocation(made.id), it.keys.network(made.id)]);
    assert.equal(it.view.broken(network.id), undefined);
  }
});

Deno.test("what was known of a network before its record became bad still holds", () => {
  const it = lab(), key = it.keys.network(network.id);
  it.put({ [key]: network });
  it.put({ [key]: "bad" });
  assert.deepEqual(it.view.network(network.id), network);
  assert.match(it.view.broken(network.id) ?? "", /expected object/);
  it.put({ [key]: { ...network, name: "red" } });
  assert.deepEqual([it.view.network(network.id)?.name, it.view.broken(network.id)], ["red", undefined]);
});

Deno.test("planDeleteNetwork() refuses while an endpoint is there, and loses to one that comes", () => {
  const it = lab();
  it.commit(planCreateNetwork(it.view, { id: network.id, name: "blue" }, options(1)).plan);
  const { plan } = planDeleteNetwork(it.view, network.id, now);
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.2/24" }));
  assert.ok(!it.commit(plan));
  assert.throws(() => planDeleteNetwork(it.view, network.id, now), {
    code: "forbidden",
    message: "network blue still has endpoints (1), the first E (10.0.0.2) on h1: delete them first",
  });
  assert.throws(() => planDeleteNetwork(it.view, "N", now), { code: "not-found" });
});

Deno.test("the order in which addresses are given goes with its network, and begins afresh with a new one of its id", () => {
  const it = lab(), key = it.keys.cursor(network.id);
  const cursor = { next: "10.0.0.77", released: [] };
  it.put({ [it.keys.network(network.id)]: network, [key]: cursor });
  assert.ok(it.commit(planDeleteNetwork(it.view, network.id, now).plan));
  assert.equal(it.json(key), null);
  // What an old agent leaves that deletes the network goes with our last host, or with the next of its id.
  it.put({ [key]: cursor, [it.keys.hostNetwork("h1", network.id)]: {} });
  assert.ok(it.commit(planLeave(it.view, network.id, "h1")));
  assert.equal(it.json(key), null);
  it.put({ [key]: cursor });
  assert.ok(it.commit(planCreateNetwork(it.view, {}, { ...options(1), newId: network.id }).plan));
  assert.equal(it.json(key), null);
});

Deno.test("what a deletion removes it guards: a full etcd takes that without a fence", () => {
  const it = lab(), key = it.keys.cursor(network.id);
  const plans = () => {
    const { plan } = planDeleteNetwork(it.view, network.id, now);
    return plan === undefined ? [] : "ops" in plan ? [plan] : plan;
  };
  for (const cursor of [undefined, { next: "10.0.0.77", released: [] }]) {
    it.put({ [it.keys.network(network.id)]: network, ...cursor && { [key]: cursor } });
    const [plan] = plans();
    for (const op of plan?.ops ?? []) {
      const removed = "remove" in op ? op.remove : "";
      assert.ok(plan?.guards.some(({ key, modRevision }) => key === removed && modRevision > 0), removed);
    }
    assert.equal(plan?.ops.length, cursor ? 2 : 1);
  }
});

Deno.test("a deleted network leaves the keys of its hosts to them, and deleting it again finds it done", () => {
  const it = lab(), found = new Set<string>();
  it.commit(planCreateNetwork(it.view, { id: network.id }, options(1)).plan);
  join(it, "h1");
  it.commit(planApplied(it.view, network.id, "h1", 5));
  const deletion = planDeleteNetwork(it.view, network.id, now, found);
  assert.deepEqual(deletion.waitsFor, []);
  assert.ok(it.commit(deletion.plan));
  assert.deepEqual(it.keysUnder("/sc-net/"), [
    `/sc-net/nodes-networks/${network.id}/h1`,
    `/sc-net/nodes/h1/networks/${network.id}`,
    `/sc-net/strand/applied/${network.id}/h1`,
  ]);
  assert.equal(planDeleteNetwork(it.view, network.id, now, found).plan, undefined);
  assert.ok(it.commit(planLeave(it.view, network.id, "h1")));
  assert.deepEqual(it.keysUnder("/sc-net/"), []);
  assert.equal(planLeave(it.view, network.id, "h1"), undefined);
});

Deno.test("a network that a host with an old agent has is marked, and goes with the last such host", () => {
  const it = lab();
  it.commit(planCreateNetwork(it.view, { id: network.id }, options(1)).plan);
  for (const host of ["new", "old"]) join(it, host);
  it.commit(planApplied(it.view, network.id, "new", 5));
  const found = new Set<string>(), deletion = planDeleteNetwork(it.view, network.id, now, found);
  assert.deepEqual(deletion.waitsFor, ["old"]);
  assert.ok(it.commit(deletion.plan));
  assert.ok(it.view.network(network.id) && it.view.deleted.has(network.id));
  assert.equal(planFinishDeletion(it.view, network.id), undefined);
  const second = new Set<string>();
  // A refusal is made again from what etcd has confirmed.
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.throws(() => planDeleteNetwork(it.view, network.id, now, second), {
      code: "conflict",
      message: /^network .* is being deleted already: .* agent of SAND .* now old$/,
    });
  }
  // An attempt of the first request that was answered late finds its own mark.
  assert.equal(planDeleteNetwork(it.view, network.id, now, found).plan, undefined);
  // The host is upgraded, and publishes what it has applied.
  it.commit(planApplied(it.view, network.id, "old", 6));
  assert.ok(it.commit(planFinishDeletion(it.view, network.id)));
  assert.deepEqual([it.view.network(network.id), it.view.deleted.size], [undefined, 0]);
});

Deno.test("a marked network that an old agent puts an endpoint in lives on", () => {
  const it = lab();
  it.commit(planCreateNetwork(it.view, { id: network.id }, options(1)).plan);
  join(it, "old");
  it.commit(planDeleteNetwork(it.view, network.id, now).plan);
  it.putEndpoint(endpointRecord("E", { hostname: "old" }));
  assert.ok(it.commit(planFinishDeletion(it.view, network.id)));
  assert.deepEqual([it.view.network(network.id)?.id, it.view.deleted.size], [network.id, 0]);
});

Deno.test("a deletion loses to a host that sets the network up meanwhile", () => {
  const it = lab();
  it.commit(planCreateNetwork(it.view, { id: network.id }, options(1)).plan);
  const { plan } = planDeleteNetwork(it.view, network.id, now);
  join(it, "old");
  assert.ok(!it.commit(plan));
});

Deno.test("planApplied() tells only what is newer, and hosts that lag behind are known", () => {
  const it = lab();
  for (const host of ["a", "b", "old", "gone"]) join(it, host);
  for (const host of ["a", "b", "old"]) it.putEndpoint(endpointRecord(`E-${host}`, { hostname: host }));
  it.commit(planApplied(it.view, network.id, "a", 7));
  it.commit(planApplied(it.view, network.id, "b", 5));
  it.commit(planApplied(it.view, network.id, "gone", 5));
  assert.equal(planApplied(it.view, network.id, "a", 7), undefined);
  assert.deepEqual(it.view.space(network.id).hostsBehind(7), ["b"]);
  assert.deepEqual(it.view.space(network.id).oldHosts(), ["old"]);
  it.put({ [it.keys.network(network.id)]: network });
  const presence = { hostname: "old", mtu: 1450, now: "later" };
  it.commit(planPresence(it.view, network.id, presence));
  assert.deepEqual(
    it.view.space(network.id).oldHosts(),
    [],
    "the agent there is ours, and has applied nothing yet",
  );
  assert.deepEqual(it.view.space(network.id).hostsBehind(1), ["old"]);
  assert.equal(planPresence(it.view, network.id, presence), undefined);
  const told = { id: network.id, created_at: now, mtu: 1450, names: true };
  assert.deepEqual(it.json(it.keys.networkHost(network.id, "old")), told);
});

Deno.test("planLeave() leaves nothing of what planApplied() tells at the same time", () => {
  for (const first of ["leave", "applied"]) {
    const it = lab();
    it.commit(planCreateNetwork(it.view, { id: network.id }, options(1)).plan);
    join(it, "h1");
    const leave = planLeave(it.view, network.id, "h1"), applied = planApplied(it.view, network.id, "h1", 5);
    assert.ok(it.commit(first === "leave" ? leave : applied));
    assert.ok(!it.commit(first === "leave" ? applied : leave));
  }
});

Deno.test("VNIs begin where they are set to, and a port that is not IANA's is in the network's record", () => {
  const it = lab();
  const create = (n: number, vxlanPort: number) =>
    planCreateNetwork(it.view, {}, { ...options(n, 5001, 5000), vxlanPort });
  const first = create(1, 4790);
  assert.deepEqual([first.record.vxlan_vni, first.record.strand_vxlan_port], [5000, 4790]);
  assert.ok(it.commit(first.plan));
  const second = create(2, 4789);
  assert.equal(second.record.vxlan_vni, 5001);
  assert.ok(!("strand_vxlan_port" in second.record));
  assert.ok(it.commit(second.plan));
  assert.throws(() => create(3, 4789), {
    message: "none of the 2 VNIs is left, from 5000 to 5001: delete a network or raise MAX_VNI",
  });
});

Deno.test("networkNamed() finds a network by its id, by the name of a spec, and by that of a record that no other one has", () => {
  const it = lab(), red = { ...network, id: uuid(2), name: "net-red" }, twin = { ...network, id: uuid(3) };
  it.put({ [it.keys.network(network.id)]: network, [it.keys.network(red.id)]: red });
  it.put({ [it.keys.networkName("red")]: { id: red.id } });
  const found = (wanted: string) => networkNamed(it.view, wanted).id;
  assert.equal(found(network.id.toUpperCase()), network.id);
  assert.equal(found("red"), red.id);
  assert.equal(found("net-red"), red.id);
  assert.equal(found("blue"), network.id);
  assert.throws(() => found("Blue"), /there is no network "Blue"/);
  it.put({ [it.keys.network(twin.id)]: twin });
  assert.throws(
    () => found("blue"),
    /2 networks are called blue: name one by its id, 00000000-.*, 320a669f-/,
  );
});
