import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory_store.ts";
import { SandKeys } from "../store/sand_keys.ts";
import { type SandRecord, sandSchema } from "../store/sand_records.ts";
import { planApplied } from "./hosts.ts";
import { Space } from "./space.ts";
import { endpointRecord, lab, network } from "./testing.ts";
import { View } from "./view.ts";

Deno.test("View knows an endpoint by its two keys, and believes the one written last", () => {
  const it = lab(), record = endpointRecord("E", { target_veth_ip: "10.0.0.2/24" });
  const [hostKey, networkKey] = [it.keys.hostEndpoint("h1", "E"), it.keys.networkEndpoint(network.id, "E")];
  it.put({ [hostKey]: record });
  assert.deepEqual(it.view.endpoint("E")?.entries.map(({ key }) => key), [hostKey]);
  it.put({ [networkKey]: { ...record, active: true } });
  assert.deepEqual([it.view.endpoint("E")?.active, it.view.endpoint("E")?.entries.length], [true, 2]);
  it.put({ [hostKey]: record });
  assert.equal(it.view.endpoint("E")?.active, false);
  const { created } = it.view.endpoint("E") ?? {};
  assert.equal(created, it.store.values.get(networkKey)?.createRevision);
  it.put({ [hostKey]: undefined });
  assert.deepEqual([it.view.endpoint("E")?.active, it.view.endpointsOn("h1").length], [true, 1]);
  assert.equal(it.view.endpoint("E")?.created, created);
  it.put({ [networkKey]: undefined });
  assert.deepEqual([it.view.endpoint("E"), it.view.endpointsOn("h1"), it.view.space(network.id).empty], [
    undefined,
    [],
    true,
  ]);
});

Deno.test("View tells what a change is about", () => {
  const it = lab(), told: unknown[] = [];
  const stop = it.view.subscribe((changes) => {
    for (const [id, { kinds, endpoints }] of changes) {
      told.push([id, [...kinds], endpoints.map(({ before, after }) => [before?.active, after?.active])]);
    }
  });
  it.put({ [it.keys.network(network.id)]: network });
  it.put({ [it.keys.networkHost(network.id, "h1")]: {} });
  it.commit(planApplied(it.view, network.id, "h1", 3));
  it.put({ [it.keys.networkEndpoint(network.id, "E")]: endpointRecord("E") });
  it.put({ [it.keys.networkEndpoint(network.id, "E")]: endpointRecord("E", { active: true }) });
  it.put({ [it.keys.networkEndpoint(network.id, "E")]: undefined });
  it.put({ [it.keys.allocation(network.id)]: { address_range: "", address_count: 0, bit_set: "" } });
  stop();
  it.put({ [it.keys.network(network.id)]: undefined });
  assert.deepEqual(told, [
    [network.id, ["network"], []],
    [network.id, ["hosts"], []],
    [network.id, ["applied"], []],
    [network.id, [], [[undefined, false]]],
    [network.id, [], [[false, true]]],
    [network.id, [], [[true, undefined]]],
  ]);
});

Deno.test("View of a store that was filled before is the same as one that saw it being filled", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network, [it.keys.hostNetwork("h1", network.id)]: {} });
  for (const id of ["E", "F"]) it.putEndpoint(endpointRecord(id, { target_veth_ip: "10.0.0.2/24" }));
  const later = new View(it.store.mirror, it.keys);
  for (const view of [it.view, later]) {
    assert.deepEqual([...view.networks()], [network]);
    assert.deepEqual(view.space(network.id).holdersOf(0x0a000002).map(({ id }) => id), ["E", "F"]);
    assert.deepEqual(view.space(network.id).oldHosts(), ["h1"]);
  }
});

Deno.test("a Space knows hosts by their MTU, and those with an old agent, however they come and go", () => {
  const space = new Space(), presence = { id: network.id, created_at: "" };
  const known = () => [space.oldHosts(), [...space.hostsByMtu].map(([mtu, hosts]) => [mtu, [...hosts]])];
  space.setApplied("h3", 5);
  for (const host of ["h2", "h1", "h3"]) space.setHost(host, presence);
  assert.deepEqual(known(), [["h1", "h2"], []]);
  assert.deepEqual([space.hasOldHostBeside("h1"), space.hasOldHostBeside("h9")], [true, true]);
  space.setHost("h2", { ...presence, mtu: 1450 });
  space.setHost("h3", { ...presence, mtu: 1450 });
  assert.deepEqual(known(), [["h1"], [[1450, ["h2", "h3"]]]]);
  assert.deepEqual([space.hasOldHostBeside("h1"), space.hasOldHostBeside("h2")], [false, true]);
  space.setHost("h2", { ...presence, mtu: 1400 });
  space.setHost("h3", undefined);
  space.setApplied("h1", 7, 9);
  assert.deepEqual(known(), [[], [[1400, ["h2"]]]]);
  space.setApplied("h1", undefined);
  assert.deepEqual([known()[0], [...space.refusedApplied]], [["h1"], []]);
  space.setHost("h1", undefined);
  space.setHost("h2", undefined);
  assert.deepEqual(known(), [[], []]);
});

Deno.test("View works with a mirror that follows one host and some networks only", () => {
  const keys = new SandKeys("/other");
  const record = endpointRecord("E");
  const schema = sandSchema(keys, [keys.networkEndpoints(network.id)]);
  assert.deepEqual(schema.prefixes, [`/other/network-endpoints/${network.id}/`]);
  const store = new MemoryStore<SandRecord>(schema, {
    [keys.networkEndpoint(network.id, "E")]: JSON.stringify(record),
  });
  assert.deepEqual(new View(store.mirror, keys).endpoint("E")?.record, record);
});
