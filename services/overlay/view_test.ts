import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory_store.ts";
import { SandKeys } from "../store/sand_keys.ts";
import { type SandRecord, sandSchema } from "../store/sand_records.ts";
import { planApplied } from "./hosts.ts";
import { Space } from "./space.ts";
import { endpointRecord, lab, network } from "./testing.ts";
import { OverlayView } from "./view.ts";

Deno.test("OverlayView knows an endpoint by its two keys, and believes the one written last", () => {
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

Deno.test("OverlayView tells what a change is about", () => {
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

Deno.test("OverlayView of a store that was filled before is the same as one that saw it being filled", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network, [it.keys.hostNetwork("h1", network.id)]: {} });
  for (const id of ["E", "F"]) it.putEndpoint(endpointRecord(id, { target_veth_ip: "10.0.0.2/24" }));
  const later = new OverlayView(it.store.mirror, it.keys);
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

Deno.test("a Space's newest revision is that of an endpoint or a publication, however many hosts another one has written", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  it.putEndpoint(endpointRecord("E", { hostname: "h1" }));
  assert.equal(it.view.space(network.id).newestRevision, it.view.endpoint("E")?.modified);
  const made = new Space();
  assert.equal(made.newestRevision, 0);
  for (let i = 0; i < 300_000; i++) made.setApplied(`h${i}`, i === 7 ? 9 : 5);
  assert.equal(made.newestRevision, 9);
});

Deno.test("OverlayView works with a mirror that follows one host and some networks only", () => {
  const keys = new SandKeys("/other");
  const record = endpointRecord("E");
  const schema = sandSchema(keys, [keys.networkEndpoints(network.id)]);
  assert.deepEqual(schema.prefixes, [`/other/network-endpoints/${network.id}/`]);
  const store = new MemoryStore<SandRecord>(schema, {
    [keys.networkEndpoint(network.id, "E")]: JSON.stringify(record),
  });
  assert.deepEqual(new OverlayView(store.mirror, keys).endpoint("E")?.record, record);
});

Deno.test("OverlayView knows a network's name, settings, reservations and quarantine, and endpoints by their labels", () => {
  const it = lab(), mac = "52:54:00:00:00:05", { keys, view } = it;
  const told: string[][] = [], labels: string[] = [];
  view.subscribe((changes) => {
    told.push([...changes.get(network.id)?.kinds ?? []]);
    labels.push(...changes.get(network.id)?.labels ?? []);
  });
  const settings = { network: { name: "blue", domain: "blue.example" }, overlay: { dns: false } };
  it.put({ [keys.network(network.id)]: network, [keys.networkName("blue")]: { id: network.id } });
  it.put({ [keys.settings(network.id)]: settings });
  it.put({ [keys.reservation(network.id, mac)]: { mac, name: "db", ip4: "10.0.0.5" } });
  it.put({ [keys.withheldAddress(network.id, "10.0.0.9")]: { mac, until: 7 } });
  assert.equal(view.networkNamed("blue"), network.id);
  const space = () => view.space(network.id);
  assert.deepEqual(space().settings, settings);
  assert.deepEqual([...space().reservations], [[mac, { mac, name: "db", ip4: "10.0.0.5" }]]);
  assert.deepEqual([...space().withheld], [["10.0.0.9", { mac, until: 7 }]]);
  assert.deepEqual(told.flat(), ["network", "names", "names", "names"]);
  const reserved = (name: string) => [...space().reservationsNamed(name)].sort();
  assert.deepEqual([reserved("db"), reserved("www")], [[mac], []]);
  const other = "52:54:00:00:00:04";
  it.put({ [keys.reservation(network.id, mac)]: { mac, name: "sql", ip4: "10.0.0.5" } });
  it.put({ [keys.reservation(network.id, other)]: { mac: other, name: "sql", shared: true } });
  assert.deepEqual([reserved("db"), reserved("sql")], [[], [other, mac]]);
  it.put({ [keys.reservation(network.id, other)]: undefined });
  assert.deepEqual([reserved("sql"), [...space().reservedNames()]], [[mac], ["sql"]]);
  assert.deepEqual(labels, ["db", "db", "sql", "sql", "sql"]);

  it.putEndpoint(endpointRecord("E", { strand_name: "web", strand_aliases: ["all", "web"] }));
  it.putEndpoint(endpointRecord("F", { strand_name: "www", strand_aliases: ["all"] }));
  const named = (name: string) => space().endpointsNamed(name).map(({ id }) => id);
  assert.deepEqual([named("web"), named("www"), named("all")], [["E"], ["F"], ["E", "F"]]);
  assert.deepEqual([...space().endpointNames()].sort(), ["all", "web", "www"]);
  it.putEndpoint(endpointRecord("E", { strand_name: "old" }));
  assert.deepEqual([named("web"), named("old"), named("all")], [[], ["E"], ["F"]]);

  for (
    const key of [keys.networkName("blue"), keys.settings(network.id), keys.reservation(network.id, mac)]
  ) {
    it.store.write({ guards: [], ops: [{ remove: key }] });
  }
  it.store.write({ guards: [], ops: [{ remove: keys.withheldAddress(network.id, "10.0.0.9") }] });
  assert.equal(view.networkNamed("blue"), undefined);
  assert.deepEqual([space().settings, space().reservations.size, space().withheld.size], [undefined, 0, 0]);
});

Deno.test("records of names that are not valid are not taken", () => {
  const it = lab(), { keys } = it;
  for (
    const [key, value] of [
      [keys.reservation(network.id, "52:54:00:00:00:05"), { mac: "52:54:00:00:00:06" }],
      [keys.reservation(network.id, "52-54-00-00-00-05"), { mac: "52-54-00-00-00-05" }],
      [keys.reservation(network.id, "52:54:00:00:00:05"), { mac: "52:54:00:00:00:05", name: "a b" }],
      [keys.reservation(network.id, "52:54:00:00:00:05"), { mac: "52:54:00:00:00:05", ip4: "fd00::1" }],
      [keys.settings(network.id), { overlay: {} }],
      [keys.networkName("blue"), {}],
    ] as const
  ) {
    it.put({ [key]: value });
    assert.ok(it.store.mirror.state.quarantined.has(key), `${key} ${JSON.stringify(value)}`);
  }
});
