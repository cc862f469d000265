import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { MAX_PLAN_OPS } from "../store/types.ts";
import { planClaim, planRelease } from "./addresses.ts";
import { BitSet } from "./bit_set.ts";
import { type EndpointRequest, macFor, planCreateEndpoints, vethName } from "./create_endpoints.ts";
import {
  byNamespace,
  findEndpoint,
  namespaceGone,
  planActivate,
  planDeactivate,
  planDeleteEndpoints,
  planHostAddresses,
  supersededBy,
} from "./endpoints.ts";
import { planApplied } from "./hosts.ts";
import { identityFields, isMadeFor } from "./namespace_identity.ts";
import { planDeleteNetwork } from "./networks.ts";
import { endpointRecord, lab, network } from "./testing.ts";

/** Milliseconds since the epoch. */
const AT = 1_790_000_000_000;

const now = "2026-11-20T20:00:00.123456789Z";
const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "h1.example.net", mtu: 1450 };
const active = {
  targetNetnsPath: "/var/run/netns/c1",
  overlayVethName: "sand0001",
  overlayVethMac: "6a:00:00:00:00:01",
  targetVethName: "sand0002",
};

function setUp(range = "10.0.0.0/24") {
  const it = lab();
  const gateway = range.replace(/0\//, "1/");
  it.put({ [it.keys.network(network.id)]: { ...network, ip_range: range, gateway } });
  const request = (id: string, more: Partial<EndpointRequest> = {}): EndpointRequest => ({
    id,
    now,
    ...more,
  });
  const bits = () => [...BitSet.decode(it.json(it.keys.allocation(network.id)).bit_set).ones()];
  const create = (...requests: EndpointRequest[]) => planCreateEndpoints(it.view, network.id, host, requests);
  return { ...it, request, bits, create };
}

Deno.test("planCreateEndpoints() writes the record twice, with its address, MAC and host, in one transaction", () => {
  const it = setUp();
  const { results, plans } = it.create(it.request("E"));
  assert.equal(plans.length, 1);
  assert.ok(it.commit(plans));
  const wanted = endpointRecord("E", {
    api_hostname: "h1.example.net",
    created_at: now,
    target_veth_mac: "02:84:0a:00:00:02",
    target_veth_ip: "10.0.0.2/24",
  });
  assert.deepEqual(results, [wanted]);
  for (const key of [it.keys.hostEndpoint("h1", "E"), it.keys.networkEndpoint(network.id, "E")]) {
    assert.deepEqual(it.json(key), wanted);
  }
  const presence = { id: network.id, created_at: now, mtu: 1450, names: true };
  assert.deepEqual(it.json(it.keys.hostNetwork("h1", network.id)), presence);
  assert.deepEqual(it.json(it.keys.networkHost(network.id, "h1")), presence);
  assert.deepEqual(it.bits(), [0, 1, 2, 255]);
  const again = it.create(it.request("E"));
  assert.deepEqual([again.results, again.plans], [[wanted], []], "after a lost answer");
});

Deno.test("both records of an endpoint have the trace that it was created in, where there is one", () => {
  const it = setUp(), traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
  assert.ok(it.commit(it.create(it.request("E", { traceparent }), it.request("F")).plans));
  const fields = (id: string) =>
    [it.keys.hostEndpoint("h1", id), it.keys.networkEndpoint(network.id, id)].map((key) => {
      const record = it.json(key) as Record<string, unknown>;
      return "strand_traceparent" in record ? record["strand_traceparent"] : "none";
    });
  assert.deepEqual(fields("E"), [traceparent, traceparent]);
  assert.deepEqual(fields("F"), ["none", "none"]);
});

Deno.test("planCreateEndpoints() refuses one and makes the others", () => {
  const it = setUp("10.0.0.0/29");
  it.putEndpoint(
    endpointRecord("X", { target_veth_ip: "10.0.0.3/29", target_veth_mac: "02:84:0a:00:00:03" }),
  );
  const { results, plans } = it.create(
    it.request("A", { address: Ip.parse("10.0.0.9") }),
    it.request("B", { address: Ip.parse("10.0.0.3") }),
    it.request("C", { mac: "zz" }),
    it.request("D", { mac: "03:00:00:00:00:01" }),
    it.request("E", { mac: "02-84-0A-00-00-03" }),
    it.request("F", { mac: "02:00:00:00:00:01", activation: active }),
    it.request("G", { mac: "02:00:00:00:00:01" }),
    ...["H", "I", "J", "K"].map((id) => it.request(id)),
  );
  assert.deepEqual(results.map((r) => r instanceof Refusal ? r.code : r.target_veth_ip), [
    "invalid",
    "exists",
    "invalid",
    "invalid",
    "exists",
    "10.0.0.2/29",
    "exists",
    "10.0.0.4/29",
    "10.0.0.5/29",
    "10.0.0.6/29",
    "exhausted",
  ]);
  assert.ok(it.commit(plans));
  const made = it.json(it.keys.hostEndpoint("h1", "F"));
  assert.deepEqual([made.active, made.target_netns_path, made.overlay_veth_name], [
    true,
    "/var/run/netns/c1",
    "sand0001",
  ]);
});

Deno.test("hundreds of endpoints go into few transactions that etcd takes, all with different addresses", () => {
  const it = setUp("10.0.0.0/20");
  const { results, plans } = it.create(...Array.from({ length: 500 }, (_, i) => it.request(`E${i}`)));
  assert.ok(plans.length <= 9, `${plans.length} transactions`);
  for (const { guards, prefixGuards = [], ops } of plans) {
    assert.ok(ops.length <= MAX_PLAN_OPS && guards.length + prefixGuards.length <= MAX_PLAN_OPS);
  }
  assert.ok(it.commit(plans));
  assert.equal(new Set(results.map((r) => r instanceof Refusal ? "" : r.target_veth_ip)).size, 500);
  assert.equal(it.view.endpointsOn("h1").length, 500);
  const gone = planDeleteEndpoints(it.view, it.view.endpointsOn("h1").map(({ id }) => id), {
    hostname: "h1",
    now: AT,
  });
  assert.ok(it.commit(gone));
  assert.deepEqual([it.bits(), it.view.endpointsOn("h1")], [[0, 1, 4095], []]);
});

Deno.test("two hosts that make endpoints at once get different addresses: the later plans again", () => {
  const it = setUp();
  const [a, b] = [it.create(it.request("A")), it.create(it.request("B"))];
  assert.ok(it.commit(a.plans));
  assert.ok(!it.commit(b.plans));
  assert.ok(it.commit(it.create(it.request("B")).plans));
  assert.equal(it.view.endpoint("B")?.address?.toString(), "10.0.0.3");
});

Deno.test("no endpoint is made in a network that is gone, goes meanwhile, or is being deleted", () => {
  const it = setUp();
  const { plans } = it.create(it.request("E"));
  it.put({ [it.keys.network(network.id)]: undefined });
  assert.ok(!it.commit(plans));
  assert.throws(() => it.create(it.request("E")), { code: "not-found", message: /there is no network/ });
  it.put({ [it.keys.network(network.id)]: network, [it.keys.networkHost(network.id, "old")]: {} });
  it.commit(planDeleteNetwork(it.view, network.id, now).plan);
  assert.throws(() => it.create(it.request("E")), { code: "forbidden", message: /being deleted/ });
});

Deno.test("planActivate() and planDeactivate() write both keys and keep what they do not know", () => {
  const it = setUp();
  it.putEndpoint({ ...endpointRecord("E", { target_veth_ip: "10.0.0.2/24" }), later: 1 });
  assert.ok(it.commit(planActivate(it.view, "E", "h1", active).plan));
  for (const key of [it.keys.hostEndpoint("h1", "E"), it.keys.networkEndpoint(network.id, "E")]) {
    const { active, target_netns_path, later } = it.json(key);
    assert.deepEqual([active, target_netns_path, later], [true, "/var/run/netns/c1", 1]);
  }
  assert.equal(planActivate(it.view, "E", "h1", active).plan, undefined);
  assert.throws(() => planActivate(it.view, "E", "h1", { ...active, targetNetnsPath: "/other" }), {
    code: "forbidden",
    message: "endpoint E is active in /var/run/netns/c1: deactivate it first",
  });
  assert.throws(() => planActivate(it.view, "E", "h2", active), { code: "not-found", message: /is on h1/ });
  const off = planDeactivate(it.view, "E", "h1");
  assert.deepEqual([off.record.active, off.record.target_netns_path, off.record.target_veth_ip], [
    false,
    "",
    "10.0.0.2/24",
  ]);
  assert.ok(it.commit(off.plan));
  assert.equal(planDeactivate(it.view, "E", "h1").plan, undefined);
});

Deno.test("a change of an endpoint loses to its deletion", () => {
  const it = setUp();
  it.commit(it.create(it.request("E")).plans);
  const { plan } = planActivate(it.view, "E", "h1", active);
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: AT })));
  assert.ok(!it.commit(plan));
});

Deno.test("planDeleteEndpoints() gives the address back, is the owner's unless forced, and may be repeated", () => {
  const it = setUp(), found = new Set<string>();
  it.commit(it.create(it.request("E"), it.request("F")).plans);
  assert.throws(() => planDeleteEndpoints(it.view, ["E"], { hostname: "h2", now: AT }), {
    code: "not-found",
  });
  assert.throws(() => planDeleteEndpoints(it.view, ["Z"], { hostname: "h1", now: AT }), {
    code: "not-found",
  });
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: AT, found })));
  assert.deepEqual(it.bits(), [0, 1, 3, 255]);
  assert.deepEqual(planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: AT, found }), []);
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["F"], { hostname: undefined, now: AT })));
  assert.deepEqual([it.bits(), it.keysUnder("/sc-net/network-endpoints")], [[0, 1, 255], []]);
});

Deno.test("planDeleteEndpoints() waits for an old agent's lock, but not for claims that are lost", () => {
  const it = setUp();
  it.commit(it.create(it.request("E"), it.request("F")).plans);
  const plans = planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: AT });
  const lock = `${it.keys.allocationLocks(network.id)}1`;
  it.put({ [lock]: "" });
  assert.ok(!it.commit(plans));
  it.put({ [lock]: undefined });
  assert.ok(it.commit(plans));
  it.put({ [it.keys.allocation(network.id)]: { address_range: "x", address_count: 0, bit_set: "" } });
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["F"], { hostname: "h1", now: AT })));
});

Deno.test("an endpoint of which an old agent wrote one key only is deleted whole", () => {
  const it = setUp();
  it.put({ [it.keys.hostEndpoint("h1", "E")]: endpointRecord("E") });
  assert.equal(it.view.endpoint("E")?.entries.length, 1);
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: AT })));
  assert.equal(it.view.endpoint("E"), undefined);
});

Deno.test("planClaim() holds an address for the endpoint that Docker makes next, planRelease() gives it back", () => {
  const it = setUp();
  const { address, plan } = planClaim(it.view, network.id, AT);
  assert.equal(address.toString(), "10.0.0.2");
  assert.ok(it.commit(plan));
  const stranger = it.create(it.request("A", { address }));
  assert.ok(stranger.results[0] instanceof Refusal && stranger.results[0].code === "exists");
  const docker = it.create(it.request("E", { address, claimed: true }));
  assert.ok(it.commit(docker.plans));
  assert.equal(planRelease(it.view, network.id, AT, address), undefined, "the endpoint's by now");
  assert.ok(it.commit(planClaim(it.view, network.id, AT, Ip.parse("10.0.0.9")).plan));
  assert.ok(it.commit(planRelease(it.view, network.id, AT, Ip.parse("10.0.0.9"))));
  assert.deepEqual(it.bits(), [0, 1, 2, 255]);
});

Deno.test("Docker's endpoint is known by its ids, goes from namespace to namespace, and keeps its address for Docker", () => {
  const it = setUp();
  const docker = { network: "D", endpoint: "E1" };
  assert.ok(it.commit(it.create(it.request("E", { docker })).plans));
  const key = it.keys.dockerEndpoint("E1");
  assert.deepEqual(it.json(key), {
    DockerNetworkID: "D",
    SandNetworkID: network.id,
    DockerEndpointID: "E1",
    SandEndpointID: "E",
  });
  const join = (targetNetnsPath: string, name: string) =>
    planActivate(it.view, "E", "h1", {
      targetNetnsPath,
      overlayVethName: name,
      overlayVethMac: "",
      targetVethName: "sand0002",
    }).plan;
  assert.ok(it.commit(join("/run/docker/netns/a", "sand0001")));
  assert.ok(it.commit(join("/run/docker/netns/b", "sand0003")));
  const endpoint = it.view.endpoint("E");
  assert.ok(endpoint?.active && !namespaceGone(endpoint, undefined), "where it is, Docker knows");
  const keepAddresses = new Set(["E"]);
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: AT, keepAddresses })));
  assert.deepEqual([it.json(key), it.bits()], [null, [0, 1, 2, 255]]);
  assert.ok(it.commit(planRelease(it.view, network.id, AT, Ip.parse("10.0.0.2"))));
  assert.deepEqual(it.bits(), [0, 1, 255]);
});

Deno.test("a MAC that is given is guarded by all endpoints of the network, and an address is not", () => {
  const it = setUp();
  assert.ok(it.commit(it.create(it.request("A")).plans));
  const guarded = (mac?: string) =>
    it.create(it.request("B", mac === undefined ? {} : { mac })).plans[0]?.prefixGuards?.find(({ prefix }) =>
      prefix === it.keys.networkEndpoints(network.id)
    );
  const revision = it.view.guard(it.keys.networkEndpoint(network.id, "A")).modRevision;
  assert.equal(guarded("02:00:00:00:00:01")?.unchangedSince, revision);
  assert.equal(guarded(), undefined);
});

Deno.test("macFor() and vethName()", () => {
  assert.equal(macFor(Ip.parse("10.0.255.2")), "02:84:0a:00:ff:02");
  assert.equal(vethName(new Set(), () => 0x2f), "sand002f");
  assert.equal(vethName(new Set(["sandffff", "sand0000"]), () => 0xffff), "sand0001");
  assert.throws(() => vethName({ has: () => true }, () => 0), { code: "exhausted" });
});

Deno.test("namespaceGone() knows a container that came back", () => {
  const it = setUp();
  const activation = { ...active, targetNetnsIdentity: "a" };
  it.commit(it.create(it.request("E", { activation })).plans);
  const endpoint = findEndpoint(it.view, "E");
  assert.deepEqual(["a", "b", undefined].map((identity) => namespaceGone(endpoint, identity)), [
    false,
    false,
    true,
  ]);
});

Deno.test("namespaceGone() takes another namespace of a process for another process", () => {
  const it = setUp();
  const activation = { ...active, targetNetnsPath: "/proc/7/ns/net", targetNetnsIdentity: "a" };
  it.commit(it.create(it.request("E", { activation })).plans);
  const endpoint = findEndpoint(it.view, "E");
  assert.deepEqual(["a", "b", undefined].map((identity) => namespaceGone(endpoint, identity)), [
    false,
    true,
    true,
  ]);
});

Deno.test("a MAC that is made of an address belongs to the endpoint of that address alone", () => {
  const it = setUp();
  const { results, plans } = it.create(
    it.request("E", { mac: "02:84:0a:00:00:05" }),
    it.request("F", { mac: "02:84:0a:00:00:05", address: Ip.parse("10.0.0.9") }),
    it.request("G", { mac: "02:84:0a:00:00:07", address: Ip.parse("10.0.0.7") }),
    it.request("H"),
  );
  assert.ok(results[0] instanceof Refusal && results[1] instanceof Refusal);
  assert.match(
    results[0].message,
    /^mac_address: 02:84:0a:00:00:05 is for the endpoint of another address than 10\.0\.0\.2/,
  );
  assert.ok(it.commit(plans));
  assert.deepEqual(it.bits(), [0, 1, 2, 7, 255], "what was refused keeps no address");
});

Deno.test("deleting a host's last endpoint by force makes the others forget the host, which still knows by itself", () => {
  const it = setUp();
  it.commit(it.create(it.request("E"), it.request("F")).plans);
  it.commit(planApplied(it.view, network.id, "h1", 5));
  const force = (id: string) =>
    it.commit(planDeleteEndpoints(it.view, [id], { hostname: undefined, now: AT }));
  assert.ok(force("E"));
  assert.deepEqual([...it.view.space(network.id).hosts.keys()], ["h1"]);
  assert.ok(force("F"));
  assert.deepEqual(it.keysUnder("/sc-net/nodes"), [it.keys.hostNetwork("h1", network.id)]);
  assert.deepEqual(it.keysUnder("/sc-net/strand/applied/"), []);
});

Deno.test("planReach() tells where a host is by now, once", () => {
  const it = setUp();
  it.commit(it.create(it.request("E")).plans);
  const moved = { ...host, ip: Ip.parse("192.0.2.9"), apiHostname: "192.0.2.9" };
  assert.ok(it.commit(planHostAddresses(it.view, "E", moved).plan));
  for (const key of [it.keys.hostEndpoint("h1", "E"), it.keys.networkEndpoint(network.id, "E")]) {
    assert.deepEqual([it.json(key).host_ip, it.json(key).api_hostname], ["192.0.2.9", "192.0.2.9"]);
  }
  assert.equal(planHostAddresses(it.view, "E", moved).plan, undefined);
  assert.throws(() => planHostAddresses(it.view, "E", { ...moved, hostname: "h2" }), { code: "not-found" });
});

Deno.test("no more endpoints are active on a host than its bridge has ports, however they come, and nothing is claimed for others", () => {
  const it = setUp("10.0.0.0/20");
  const make = (from: number, count: number, activation?: typeof active) =>
    it.create(...Array.from({ length: count }, (_, i) => it.request(`E${from + i}`, { activation })));
  assert.ok(it.commit(make(0, 1000, active).plans));
  const { results, plans } = make(1000, 24, active);
  assert.ok(it.commit(plans));
  assert.equal(results.filter((result) => !(result instanceof Refusal)).length, 22);
  const refused = results.at(-1);
  assert.ok(refused instanceof Refusal && refused.code === "exhausted");
  assert.equal(
    refused.message,
    "network blue has 1022 active endpoints on h1 already, as many as a bridge has ports for: " +
      "make this one on another host, or in another network",
  );
  // The network's own three, and each endpoint's.
  assert.equal(it.bits().length, 3 + 1022);
  // An inactive one takes no port, until it is to be active.
  assert.ok(it.commit(make(2000, 1).plans));
  const activate = () => planActivate(it.view, "E2000", "h1", active).plan;
  assert.throws(activate, { code: "exhausted" });
  assert.ok(it.commit(planDeactivate(it.view, "E7", "h1").plan));
  assert.ok(it.commit(activate()));
  // One that is active already may be told again.
  assert.ok(planActivate(it.view, "E8", "h1", active));
  // Other hosts have ports of their own.
  const there = planCreateEndpoints(it.view, network.id, { ...host, hostname: "h2" }, [
    it.request("F", { activation: active }),
  ]);
  assert.ok(it.commit(there.plans));
});

Deno.test("a record with a cookie is of the namespace that has it; without one, of any with the inode", () => {
  const made = identityFields("boot/0:4:7/17");
  assert.deepEqual(made, { strand_netns: "boot/0:4:7", strand_netns_cookie: "boot/0:4:7/17" });
  const identities = ["boot/0:4:7/17", "boot/0:4:7/18", "boot/0:4:8/17", "next/0:4:7/17"];
  const madeFor = (record: Parameters<typeof isMadeFor>[0]) => identities.map((of) => isMadeFor(record, of));
  assert.deepEqual(madeFor(made), [true, false, false, false]);
  assert.deepEqual(
    madeFor({ strand_netns: "boot/0:4:7" }),
    [true, true, false, false],
    "of an earlier agent",
  );
  // An earlier agent has made it active in another namespace.
  assert.deepEqual(madeFor({ ...made, strand_netns: "boot/0:4:8" }), [false, false, true, false]);
  assert.deepEqual(madeFor({}), [undefined, undefined, undefined, undefined]);
  // A kernel without cookies.
  const inode = "boot/0:4:7", fields = identityFields(inode);
  assert.deepEqual([fields, isMadeFor(fields, inode)], [{ strand_netns: inode }, true]);
});

Deno.test("supersededBy() tells a container that was replaced from one that came back", () => {
  const it = setUp(), red = { ...network, id: "11111111-69f4-4806-ab46-f2e6620c4311", vxlan_vni: 2 };
  it.put({ [it.keys.network(red.id)]: red });
  const made = (id: string, namespace: string, net = network.id) => {
    const activation = { ...active, targetNetnsIdentity: namespace };
    assert.ok(it.commit(planCreateEndpoints(it.view, net, host, [it.request(id, { activation })]).plans));
  };
  const by = (id: string, identity: string, inPlace: boolean) =>
    supersededBy(byNamespace(it.view, host.hostname), findEndpoint(it.view, id), identity, inPlace)?.id;
  made("E", "a");
  const both = (identity: string) => [false, true].map((inPlace) => by("E", identity, inPlace));
  assert.deepEqual(both("b"), [undefined, undefined], "a container that came back");
  made("F", "b", red.id);
  assert.deepEqual(both("a"), [undefined, undefined], "it is where it was");
  assert.deepEqual(both("b"), ["F", undefined], "a further network leaves what came back already");
  made("G", "b");
  assert.deepEqual(both("b"), ["F", "G"]);
  assert.deepEqual([by("F", "b", false), by("G", "b", true)], [undefined, undefined]);
  // An endpoint of an old agent's, which does not say what it was made for, is left where it is.
  it.putEndpoint(endpointRecord("old", { active: true, target_netns_path: "/var/run/netns/c1" }));
  made("H", "c");
  assert.deepEqual([by("old", "c", true), by("old", "c", false), by("old", "b", false)], [
    undefined,
    "H",
    undefined,
  ]);
  const docker = { network: "D", endpoint: "E1" };
  it.putEndpoint(endpointRecord("docker", { active: true, strand_docker: docker }));
  made("I", "d");
  assert.equal(by("docker", "d", false), undefined);
});

Deno.test("an endpoint's name is one label, which no other endpoint and no reservation of the network has", () => {
  const it = setUp(), mac = "52:54:00:00:00:05";
  it.put({
    [it.keys.reservation(network.id, mac)]: { mac, name: "db" },
    [it.keys.reservation(network.id, "52:54:00:00:00:06")]: {
      mac: "52:54:00:00:00:06",
      name: "all",
      shared: true,
    },
  });
  const names = (...requests: Partial<EndpointRequest>[]) => {
    const made = it.create(
      ...requests.map((request) => it.request(`${request.name}-${request.mac}`, request)),
    );
    assert.ok(it.commit(made.plans));
    return made.results.map((result) => result instanceof Refusal ? result.message : result.strand_name);
  };
  assert.deepEqual(names({ name: "web" }, { name: "web", mac: "02:00:00:00:00:01" }, { name: "all" }), [
    "web",
    "name: web of network blue belongs to another endpoint of this request",
    "all",
  ]);
  assert.deepEqual(names({ name: "web", mac: "02:00:00:00:00:02" }, { name: "db" }, { name: "db", mac }), [
    "name: web of network blue belongs to endpoint web-undefined on h1",
    "name: db of network blue belongs to 52:54:00:00:00:05, for which it is reserved",
    "db",
  ]);
  it.put({
    [it.keys.reservation(network.id, "52:54:00:00:00:07")]: { mac: "52:54:00:00:00:07", name: "vm" },
  });
  assert.deepEqual(names({ name: "other", mac: "52:54:00:00:00:07" }), [
    "name: other is not vm, which is reserved in network blue for 52:54:00:00:00:07: request that one, or none",
  ]);
  for (const name of ["gateway", "ns"]) {
    const sentence = `name: ${name} of network blue is the name of its gateway: take another one`;
    assert.deepEqual(names({ name }), [sentence]);
  }
  for (const name of ["a.b", "", "-", "a b", "x".repeat(64)]) {
    assert.match(names({ name })[0] ?? "", /^name: "[^"]*" is not one label of a name/, name);
  }
});

Deno.test("a name is not given where the network's endpoints or reservations have changed since they were read", () => {
  const it = setUp(), mac = "52:54:00:00:00:05";
  const { plans } = it.create(it.request("E", { name: "web" }));
  it.put({ [it.keys.reservation(network.id, mac)]: { mac, name: "web" } });
  assert.equal(it.commit(plans), false);
  const again = it.create(it.request("F", { name: "www" }));
  it.put({ [it.keys.networkEndpoint(network.id, "G")]: endpointRecord("G", { strand_name: "www" }) });
  assert.equal(it.commit(again.plans), false);
});
