import assert from "node:assert/strict";
import { BitSet } from "../overlay/bit_set.ts";
import { endpointRecord, network as sand } from "../overlay/testing.ts";
import { keyOf } from "../store/keys.ts";
import { effectiveNetwork } from "./effective.ts";
import { planDeleteNamed, planNamesLeft } from "./delete_network.ts";
import { findNamed } from "./networks.ts";
import { blue, idOf, namedLab } from "./testing.ts";

const now = "2026-11-20T20:00:00.123456789Z";

Deno.test("one transaction makes the overlay network, its claims, its name and its settings", () => {
  const it = namedLab(), { keys } = it;
  const { plan } = it.plan(blue);
  assert.ok(it.commit(plan));
  assert.equal(it.store.revision, 2, "one transaction");
  const id = idOf(1);
  assert.deepEqual(it.json(keys.network(id)), {
    id,
    created_at: "1",
    name: "blue",
    type: "overlay",
    ns_handle_path: `/run/netns/${id}`,
    vxlan_vni: 1,
    ip_range: "10.0.0.0/24",
    gateway: "10.0.0.1/24",
  });
  assert.deepEqual([...BitSet.decode(it.json(keys.allocation(id)).bit_set).ones()], [0, 1, 255]);
  assert.deepEqual(it.json(keys.networkName("blue")), { id });
  assert.deepEqual(it.json(keys.settings(id)), {
    network: { name: "blue", domain: "blue.example" },
    overlay: { contain: true },
  });
  assert.deepEqual([...it.store.values.keys()].length, 4);
});

Deno.test("the name, the VNI and a flat network of that name are guarded", () => {
  const it = namedLab(), { keys } = it;
  const [one, two] = [
    it.plan(blue).plan,
    it.plan({ ...blue, network: { ...blue.network, name: "red" } }).plan,
  ];
  assert.ok(one?.guards.some(({ key, modRevision }) => key === keyOf.network("blue") && modRevision === 0));
  const same = it.plan(blue).plan;
  assert.ok(it.commit(one));
  assert.ok(!it.commit(two), "both took the lowest VNI");
  assert.ok(!it.commit(same));
  const red = it.apply({ ...blue, network: { ...blue.network, name: "red" } });
  assert.equal(red.named.record.vxlan_vni, 2);
  assert.equal(it.json(keys.networkName("red")).id, red.named.record.id);
});

Deno.test("what is not given is derived: gateway, range, name server, server, lease time and every MAC", () => {
  const it = namedLab();
  const effective = (subnet4: string, gateway?: string) => {
    const name = subnet4.replace(/\W/g, "-") + (gateway ?? "");
    const { named } = it.apply({
      network: { name, subnet4, ...gateway && { gateways: [gateway] } },
      overlay: {},
    });
    const { range4, gateways, nameservers, dhcp4server, leaseSeconds, domain, record } = effectiveNetwork(
      named,
    );
    assert.deepEqual([`${nameservers}`, `${dhcp4server}`, leaseSeconds, domain], [
      `${gateways}`,
      `${gateways}`,
      14400,
      "",
    ]);
    assert.ok(range4);
    return [`${gateways}`, record.Range4?.begin, record.Range4?.end];
  };
  assert.deepEqual(effective("10.0.0.0/24"), ["10.0.0.1", "10.0.0.2", "10.0.0.254"]);
  assert.deepEqual(effective("10.0.0.0/24", "10.0.0.254"), ["10.0.0.254", "10.0.0.1", "10.0.0.253"]);
  assert.deepEqual(effective("10.0.0.0/24", "10.0.0.9"), ["10.0.0.9", "10.0.0.1", "10.0.0.254"]);
  assert.deepEqual(effective("10.0.0.0/30"), ["10.0.0.1", "10.0.0.2", "10.0.0.2"]);
  assert.equal(effectiveNetwork(findNamed(it.view, "10-0-0-0-30")).macRange?.end, "ff:ff:ff:ff:ff:ff");
});

Deno.test("a second apply replaces what the file says, and what it leaves out is derived again", () => {
  const it = namedLab(), { keys } = it;
  it.apply(blue);
  const id = idOf(1), stored = () => it.json(keys.settings(id));
  assert.equal(it.apply(blue).action, "unchanged");
  const wide = {
    network: {
      ...blue.network,
      nameservers: ["192.0.2.53"],
      Range4: { begin: "10.0.0.10", end: "10.0.0.20" },
      lease_duration: 60,
    },
    overlay: { dns: false, contain: false },
  };
  assert.equal(it.apply(wide).action, "updated");
  assert.deepEqual(stored(), {
    network: {
      name: "blue",
      nameservers: ["192.0.2.53"],
      Range4: { begin: "10.0.0.10", end: "10.0.0.20" },
      domain: "blue.example",
      lease_duration: 60,
    },
    overlay: { contain: false, dns: false },
  });
  // What `get` prints can be applied as it is: the derived values are not set by that.
  const { record } = effectiveNetwork(findNamed(it.view, "blue"));
  assert.equal(it.apply({ network: record, overlay: stored().overlay, id }).action, "unchanged");
  assert.equal(it.apply(blue).action, "updated");
  assert.deepEqual(stored(), {
    network: { name: "blue", domain: "blue.example" },
    overlay: { contain: true },
  });
  it.put({ [keys.settings(id)]: { ...stored(), later: 1, network: { name: "blue", mtu: 9000 } } });
  it.apply(blue);
  assert.deepEqual([stored().later, stored().network.mtu], [1, 9000], "what is not known is kept");
});

Deno.test("range and gateway of an overlay network cannot change, and a refusal names field, value and what is right", () => {
  const it = namedLab(), { network } = blue;
  const refuses = (change: object, message: string, more: object = {}) =>
    assert.throws(() => it.plan({ ...blue, ...more, network: { ...network, ...change } }), { message });
  refuses(
    { subnet4: undefined },
    "network blue: subnet4: missing: a network needs a subnet, like 10.0.0.0/24",
  );
  refuses(
    { subnet4: "10.0.0.0/31" },
    "network blue: subnet4: 10.0.0.0/31 has no room for an endpoint: a /30 is the narrowest that has",
  );
  refuses({ gateways: ["10.9.0.1"] }, "network blue: gateways: 10.9.0.1 is outside the subnet 10.0.0.0/24");
  refuses(
    { gateways: ["10.0.0.1", "10.0.0.2"] },
    "network blue: gateways: 10.0.0.1, 10.0.0.2: an overlay network has one gateway, at which its hosts answer",
  );
  refuses(
    { Range4: { begin: "10.0.0.2", end: "10.0.1.2" } },
    "network blue: range4.end: 10.0.1.2 is outside the subnet 10.0.0.0/24",
  );
  refuses(
    { subnet6: "fd00::/64" },
    "network blue: subnet6: fd00::/64: an overlay network has IPv4 addresses only",
  );
  refuses(
    { dhcp4server: "10.0.0.3" },
    "network blue: dhcp4server: 10.0.0.3 is not the gateway 10.0.0.1, at which the hosts of an overlay network answer",
  );
  const options = (number: number, value: string) => ({ options: [{ number, value }] });
  refuses(
    options(3, "10.9.0.1"),
    'network blue: options: number 3 (value "10.9.0.1"): the router 10.9.0.1 is outside the subnet 10.0.0.0/24',
  );
  refuses(
    options(1, "255.0.0.0"),
    'network blue: options: number 1 (value "255.0.0.0"): the mask of the subnet is 255.255.255.0',
  );
  const { named: { record: { id } } } = it.apply(blue);
  refuses(
    { subnet4: "10.0.1.0/24" },
    "network blue: subnet4: 10.0.1.0/24 is not 10.0.0.0/24: the range of an overlay network cannot change; make a new network",
  );
  refuses(
    { gateways: ["10.0.0.2"] },
    "network blue: gateways: 10.0.0.2 is not 10.0.0.1: the gateway of an overlay network cannot change; make a new network",
  );
  refuses(
    {},
    `network blue: overlay.id: ${idOf(99)} is not ${id}, the overlay network that has this name`,
    { id: idOf(99) },
  );
  it.apply({ network: { name: "blue" }, overlay: {} });
});

Deno.test("an overlay network of SAND's gets a name and a domain, and only counts what is not its ports' own", () => {
  const it = namedLab(), { keys } = it, { id } = sand;
  it.put({ [keys.network(id)]: sand });
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.9/24" }));
  const request = { network: { name: "green", domain: "green.example" }, id: id.toUpperCase(), overlay: {} };
  const refuses = (change: object, message: string | RegExp) =>
    assert.throws(() => it.plan({ ...request, network: { ...request.network, ...change } }), { message });
  refuses({ subnet4: "10.0.0.0/25" }, /^network green: subnet4: 10\.0\.0\.0\/25 is not 10\.0\.0\.0\/24/);
  refuses({ gateways: ["10.0.0.2"] }, /^network green: gateways: 10\.0\.0\.2 is not 10\.0\.0\.1/);
  refuses(
    { Range4: { begin: "10.0.0.10", end: "10.0.0.20" } },
    "network green: range4: 10.0.0.10-10.0.0.20 does not hold 10.0.0.9 of endpoint E on h1: give it a range that does",
  );
  const { plan } = it.plan(request);
  it.putEndpoint(endpointRecord("F", { target_veth_ip: "10.0.0.10/24" }));
  assert.ok(!it.commit(plan), "its endpoints are guarded");
  assert.equal(it.apply(request).action, "created");
  assert.deepEqual(it.json(keys.network(id)), sand, "its record stays as it is");
  assert.deepEqual(it.json(keys.settings(id)), {
    network: { name: "green", domain: "green.example" },
    overlay: {},
    adopted: true,
  });
  assert.equal(it.apply(request).action, "unchanged");
  assert.throws(() => it.plan({ ...request, network: { name: "other" } }), {
    code: "exists",
    message: `network other: overlay.id: ${id} has the name green already`,
  });
  assert.throws(() => it.plan({ ...request, network: { name: "other" }, id: idOf(7) }), {
    code: "not-found",
    message: `network other: overlay.id: there is no overlay network "${idOf(7)}"`,
  });
});

Deno.test("a new range must hold the addresses that are in use in the old one", () => {
  const it = namedLab();
  it.apply(blue);
  it.members("blue", (draft) =>
    draft.add([{ list: [{ mac: "52:54:00:00:00:05", ip4: "10.0.0.5" }], force: false }]));
  const ranged = (begin: string) => ({
    ...blue,
    network: { ...blue.network, Range4: { begin, end: "10.0.0.99" } },
  });
  assert.throws(() => it.plan(ranged("10.0.0.6")), {
    code: "forbidden",
    message:
      "network blue: range4: 10.0.0.6-10.0.0.99 does not hold 10.0.0.5 of member 52:54:00:00:00:05: give it a range that does",
  });
  it.apply(ranged("10.0.0.5"));
});

Deno.test("a network goes with name, settings, reservations and claims in one transaction, once it has no endpoints", () => {
  const it = namedLab(), { keys } = it, id = idOf(1);
  it.apply(blue);
  it.members("blue", (draft) => draft.add([{ list: [{ mac: "52:54:00:00:00:05" }], force: false }]));
  it.put({ [keys.withheldAddress(id, "10.0.0.9")]: { mac: "52:54:00:00:00:05", until: 1 } });
  it.putEndpoint(endpointRecord("E", { network_id: id }));
  assert.throws(() => planDeleteNamed(it.view, "blue", now, new Set()), {
    code: "forbidden",
    message: /still has endpoints/,
  });
  it.put({ [keys.hostEndpoint("h1", "E")]: undefined, [keys.networkEndpoint(id, "E")]: undefined });
  const found = new Set<string>(), plans = planDeleteNamed(it.view, "blue", now, found);
  assert.equal(plans.length, 1);
  assert.ok(it.commit(plans));
  assert.deepEqual([...it.store.values.keys()], []);
  assert.deepEqual(planDeleteNamed(it.view, "blue", now, found), [], "an attempt that was repeated");
  assert.throws(() => planDeleteNamed(it.view, "blue", now, new Set()), { code: "not-found" });
});

Deno.test("of a network with many reservations the overlay goes first and the name last, and a sweep ends what was begun", () => {
  const it = namedLab(), { keys } = it, id = idOf(1);
  it.apply({ ...blue, network: { name: "blue", subnet4: "10.0.0.0/20" } });
  const hex = (n: number) => n.toString(16).padStart(2, "0");
  const list = Array.from({ length: 300 }, (_, n) => ({ mac: `52:54:00:00:${hex(n >> 8)}:${hex(n & 255)}` }));
  it.members("blue", (draft) => draft.add([{ list, force: false }]));
  const plans = planDeleteNamed(it.view, "blue", now, new Set());
  assert.ok(plans.length > 2);
  assert.ok(it.commit(plans.slice(0, 1)));
  assert.equal(it.view.network(id), undefined);
  assert.equal(it.view.networkNamed("blue"), id);
  assert.throws(() => it.plan(blue), { code: "conflict", message: /what the deleted network blue has left/ });
  assert.ok(it.commit(planNamesLeft(it.view, "blue")));
  assert.deepEqual([...it.store.values.keys()], []);
  assert.deepEqual(planNamesLeft(it.view, "blue"), []);
  const { id: left } = it.apply(blue).named.record;
  assert.deepEqual(planNamesLeft(it.view, "blue"), [], "nothing is swept of a network that is there");
  it.put({ [keys.network(left)]: undefined });
  const sweep = planNamesLeft(it.view, "blue");
  it.put({ [keys.network(left)]: { ...sand, id: left } });
  assert.ok(!it.commit(sweep), "nor of one that is made again meanwhile");
});

Deno.test("while a host with a SAND agent has it, a network is marked, and its name's part waits", () => {
  const it = namedLab(), { keys } = it, id = idOf(1);
  it.apply(blue);
  it.put({ [keys.networkHost(id, "go")]: { id, created_at: "" } });
  assert.ok(it.commit(planDeleteNamed(it.view, "blue", now, new Set())));
  assert.ok(it.view.isDeleted(id));
  assert.deepEqual(it.json(keys.networkName("blue")), { id });
  assert.throws(() => it.plan({ ...blue, network: { name: "blue" } }), {
    message: "network blue is being deleted",
  });
});
