import assert from "node:assert/strict";
import { Refusal } from "../common/refusal.ts";
import { planCreateEndpoints } from "./create_endpoints.ts";
import { desiredState } from "./desired.ts";
import { planDeleteEndpoints } from "./endpoints.ts";
import { localFault, networkFault, networkProblem, presenceProblems } from "./faults.ts";
import { NetworkNeighbours } from "./neighbours.ts";
import { planDeleteNetwork, planFinishDeletion } from "./networks.ts";
import { endpointRecord, lab, network } from "./testing.ts";
import { Ip } from "../common/ip.ts";

const now = "2026-11-20T20:00:00.123456789Z";

/** A lab with the network of most tests. */
function setUp() {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  return it;
}

Deno.test("networkFault() refuses an id that is no UUID, a VNI of 0 and a range that no agent could have made", () => {
  assert.equal(networkFault(network), undefined);
  assert.equal(networkFault({ ...network, ip_range: "127.0.0.0/24", gateway: "127.0.0.1/24" }), undefined);
  for (
    const [fields, reason] of [
      [{ id: ".." }, /^id: "\.\." is not a UUID$/],
      [{ vxlan_vni: 0 }, /^vxlan_vni: 0 is not a VNI/],
      [{ ip_range: "0.0.0.0/0" }, /^ip_range: 0\.0\.0\.0\/0 is wider than a \/8$/],
    ] as const
  ) {
    assert.match(networkFault({ ...network, ...fields }) ?? "", reason);
  }
});

Deno.test("no endpoint is made in a network whose record is not carried out", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: { ...network, vxlan_vni: 0 } });
  const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "h1", mtu: 1450 };
  assert.throws(() => planCreateEndpoints(it.view, network.id, host, [{ id: "E", now }]), {
    code: "forbidden",
    message: /^the record \/sc-net\/network\/.* is not carried out: vxlan_vni: 0 is not a VNI/,
  });
});

Deno.test("nor in one whose record cannot be read, of which nothing is set up and every endpoint can be deleted", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: { ...network, ip_range: "" } });
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.2/24", active: true }));
  const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "h1", mtu: 1450 };
  assert.throws(() => planCreateEndpoints(it.view, network.id, host, [{ id: "F", now }]), {
    code: "forbidden",
    message: /^the record \/sc-net\/network\/.* in etcd is not carried out: ip_range: no IPv4 CIDR/,
  });
  assert.match(networkProblem(it.view, network.id) ?? "", /is not carried out: ip_range: no IPv4 CIDR/);
  assert.equal(new NetworkNeighbours(it.view, network.id, "h2").opsFor([]).length, 0);
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["E"], { hostname: "h1", now: 0 })));
  assert.ok(it.commit(planDeleteNetwork(it.view, network.id, now).plan));
  assert.deepEqual(it.keysUnder("/sc-net/"), []);
});

Deno.test("localFault() refuses what the API would not have made", () => {
  const good = {
    overlay_veth_name: "sand0001",
    target_veth_mac: "02:84:0a:00:00:02",
    target_veth_ip: "10.0.0.2/24",
    strand_host_veth: "sandc0001",
  };
  const fault = (fields: object) => {
    const it = setUp();
    it.putEndpoint(endpointRecord("E", { ...good, ...fields }));
    const endpoint = it.view.endpoint("E");
    assert.ok(endpoint);
    return localFault(endpoint, network, it.view);
  };
  assert.equal(fault({}), undefined);
  // As SAND's older agents have it: no veth yet, no address.
  assert.equal(fault({ target_veth_ip: "", target_veth_mac: "", strand_host_veth: undefined }), undefined);
  for (
    const [fields, reason] of [
      [{ strand_host_veth: "sandc0002" }, /^strand_host_veth: sandc0002 is not sandc0001/],
      [{ target_veth_mac: "01:00:5e:00:00:01" }, /^target_veth_mac: 01:00:5e:00:00:01 is not a MAC that/],
      [{ target_veth_mac: "00:00:00:00:00:00" }, /^target_veth_mac: /],
      [
        { target_veth_ip: "192.0.2.7/24" },
        /^target_veth_ip: no endpoint of 10\.0\.0\.0\/24 can have 192\.0\.2\.7$/,
      ],
      [{ target_veth_ip: "10.0.0.1/24" }, /can have 10\.0\.0\.1$/],
      [{ target_veth_ip: "10.0.0.255/24" }, /can have 10\.0\.0\.255$/],
      [{ target_veth_ip: "10.0.0.2/1" }, /^target_veth_ip: \/1 would have the container take more than/],
    ] as const
  ) {
    assert.match(fault(fields) ?? "", reason);
  }
});

Deno.test("localFault() refuses a route on the host to what that reaches elsewhere: cloud metadata, another host's VTEP", () => {
  const fault = (range: string, ip: string, fields: object) => {
    const it = lab(), its = { ...network, ip_range: range, gateway: `${Ip.parse(ip).plus(-1)}/16` };
    it.put({ [it.keys.network(network.id)]: its });
    it.putEndpoint(
      endpointRecord("E", { overlay_veth_name: "sand0001", target_veth_ip: `${ip}/16`, ...fields }),
    );
    it.putEndpoint(endpointRecord("F", { hostname: "h2", host_ip: "172.16.0.7" }));
    const endpoint = it.view.endpoint("E");
    assert.ok(endpoint);
    const found = localFault(endpoint, its, it.view);
    it.putEndpoint(endpointRecord("F", { hostname: "h2", host_ip: "192.0.2.2" }));
    assert.equal(it.view.hasVtep(Ip.parse("172.16.0.7")), false, "it has another VTEP by now");
    return found;
  };
  for (const way of [{ strand_host_route: true }, { strand_host_veth: "sandc0001" }]) {
    assert.match(fault("169.254.0.0/16", "169.254.169.254", way) ?? "", /169\.254\.0\.0\/16 are link-local/);
    assert.match(fault("172.16.0.0/16", "172.16.0.7", way) ?? "", /has 172\.16\.0\.7, the VTEP of a host/);
    assert.match(fault("8.8.0.0/16", "8.8.8.8", way) ?? "", /has public addresses/);
    assert.equal(fault("172.16.0.0/16", "172.16.0.8", way), undefined);
  }
  assert.equal(fault("172.16.0.0/16", "172.16.0.7", {}), undefined, "the network is apart from its host");
});

Deno.test("what a host says of a network is not believed below an MTU of 576, nor beyond the store's revision", () => {
  const it = setUp();
  const endpoint = endpointRecord("1", { hostname: "h1", active: true, overlay_veth_name: "sand0001" });
  it.putEndpoint(endpoint);
  it.put({
    [it.keys.networkHost(network.id, "h2")]: { id: network.id, created_at: now, mtu: 68 },
    [it.keys.networkHost(network.id, "h3")]: { id: network.id, created_at: now, mtu: 576 },
  });
  const mtu = () =>
    desiredState(it.view, network.id, { hostname: "h1", underlayMtu: 1500 }).state?.bridge?.mtu;
  assert.equal(mtu(), 576);
  it.put({ [it.keys.networkHost(network.id, "h3")]: undefined });
  assert.equal(mtu(), 1450, "that of h2 is neither taken for 68 nor for an old agent's");
  it.putEndpoint(endpointRecord("2", { hostname: "h2" }));
  const space = () => it.view.space(network.id);
  it.put({ [it.keys.applied(network.id, "h2")]: { revision: 1_000_000 } });
  assert.deepEqual(space().hostsBehind(5), ["h2"]);
  assert.deepEqual(presenceProblems(it.view, network.id), [
    `the record /sc-net/nodes-networks/${network.id}/h2 in etcd is not believed: mtu: 68 is less than 576`,
    `the record /sc-net/strand/applied/${network.id}/h2 in etcd is not believed: revision: 1000000 was not there yet when it was written`,
  ]);
  it.put({ [it.keys.applied(network.id, "h2")]: { revision: 5 } });
  assert.deepEqual(space().hostsBehind(5), []);
});

Deno.test("no frame goes to a VTEP that no other host can have", () => {
  const it = setUp();
  it.putEndpoint(endpointRecord("1", { hostname: "h1", active: true }));
  const vteps = ["0.0.0.0", "127.0.0.1", "239.1.1.1", "255.255.255.255", "192.0.2.1", "192.0.2.2"];
  vteps.forEach((host_ip, i) =>
    it.putEndpoint(endpointRecord(`${i + 2}`, {
      hostname: "h2",
      host_ip,
      active: true,
      target_veth_ip: `10.0.0.${i + 2}/24`,
      target_veth_mac: `02:84:0a:00:00:0${i + 2}`,
    }))
  );
  const options = { hostname: "h1", underlayMtu: 1500, vtep: Ip.parse("192.0.2.1").u32 };
  const { state, problems } = desiredState(it.view, network.id, options);
  assert.deepEqual([...state?.arp.keys() ?? []], [Ip.parse("10.0.0.7").u32]);
  const key = (id: string) => it.keys.networkEndpoint(network.id, id);
  for (const id of ["2", "3", "4", "5", "6"]) {
    assert.ok(problems.some((problem) => problem.includes(key(id))), `${id}: ${problems.join("\n")}`);
  }
});

Deno.test("addresses and MACs are wanted as the kernel tells them, however a record spells them", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: { ...network, gateway: "10.0.0.1/024" } });
  it.putEndpoint(endpointRecord("E", {
    active: true,
    target_netns_path: "/run/c",
    overlay_veth_name: "sand0001",
    overlay_veth_mac: "6A-00-00-00-00-01",
    target_veth_name: "eth0",
    target_veth_mac: "02:84:0A:00:00:02",
    target_veth_ip: "10.0.0.2/024",
  }));
  const { state } = desiredState(it.view, network.id, { hostname: "h1", underlayMtu: 1500 });
  const veth = state?.veths.get("sand0001");
  assert.deepEqual(state?.bridge?.addresses, ["10.0.0.1/24"]);
  assert.deepEqual([veth?.mac, veth?.peer?.mac, veth?.peer?.addresses], [
    "6a:00:00:00:00:01",
    "02:84:0a:00:00:02",
    ["10.0.0.2/24"],
  ]);
});

Deno.test("of two endpoints here with one veth the older has it, whichever was read first", () => {
  const it = setUp();
  const record = (id: string) =>
    endpointRecord(id, { active: true, overlay_veth_name: "sand0001", target_netns_path: `/run/${id}` });
  it.putEndpoint(record("old"));
  it.putEndpoint(record("new"));
  it.putEndpoint({ ...record("old"), created_at: now });
  const { state, problems } = desiredState(it.view, network.id, { hostname: "h1", underlayMtu: 1500 });
  assert.equal(state?.veths.get("sand0001")?.peer?.netns, "/run/old");
  assert.match(
    problems.join(),
    /the record \/sc-net\/node-endpoints\/h1\/new in etcd is not carried out: overlay_veth_name/,
  );
});

Deno.test("a mark of a deletion that is older than the network says nothing of it, and goes", () => {
  const it = lab();
  it.put({
    [it.keys.deleted(network.id)]: { created_at: now },
    [it.keys.network(network.id)]: network,
  });
  const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "h1", mtu: 1450 };
  const [result] = planCreateEndpoints(it.view, network.id, host, [{ id: "E", now }]).results;
  assert.ok(result && !(result instanceof Refusal));
  // A host with an old agent: its network is only marked, by a mark that counts.
  it.put({ [it.keys.networkHost(network.id, "old")]: {} });
  assert.ok(it.commit(planDeleteNetwork(it.view, network.id, now).plan));
  assert.ok(it.view.network(network.id) && it.view.isDeleted(network.id));
  it.put({
    [it.keys.network(network.id)]: undefined,
    [it.keys.networkHost(network.id, "old")]: undefined,
  });
  it.put({ [it.keys.network(network.id)]: network });
  assert.ok(it.commit(planFinishDeletion(it.view, network.id)));
  assert.ok(it.view.network(network.id), "created again by an older agent");
  assert.equal(it.view.deleted.size, 0);
});
