import assert from "node:assert/strict";
import { planPresence } from "./hosts.ts";
import { concernsPeers, peersOf, vtepsBeside } from "./peers.ts";
import { LARGEST_PROBE, PROBE_VNI } from "./state.ts";
import { endpointRecord, lab, network } from "./testing.ts";

function shared() {
  const found = lab();
  found.put({ [found.keys.network(network.id)]: network });
  return found;
}

Deno.test("peers are other hosts of the same networks that say that they answer", () => {
  const found = shared(), { view, commit } = found;
  const tell = (hostname: string, probeVni?: number) =>
    commit(planPresence(view, network.id, { hostname, mtu: 1450, probeVni, now: "" }));
  tell("h1", PROBE_VNI);
  tell("h2", PROBE_VNI);
  tell("h3");
  const peers = (networks: { id: string; mtu: number }[]) => [...peersOf(view, "h1", networks).values()];
  assert.deepEqual(peers([{ id: network.id, mtu: 1400 }]), [], "without an endpoint there is nowhere to ask");
  found.putEndpoint(endpointRecord("e1", { hostname: "h1", host_ip: "192.0.2.1" }));
  found.putEndpoint(endpointRecord("e2", { hostname: "h2", host_ip: "192.0.2.2" }));
  found.putEndpoint(endpointRecord("e3", { hostname: "h3", host_ip: "192.0.2.3" }));
  assert.deepEqual(peers([{ id: network.id, mtu: 1400 }]), [{ hostname: "h2", vtep: 0xc0000202, mtu: 1400 }]);
  assert.deepEqual(peers([]), []);
  assert.deepEqual([...vtepsBeside(view, "h1")].map(String), ["192.0.2.2", "192.0.2.3"]);
});

Deno.test("no peer is asked with more than a probe can be, however large the underlay's packets are", () => {
  const found = shared(), { view } = found;
  found.commit(planPresence(view, network.id, { hostname: "h2", mtu: 65_486, probeVni: PROBE_VNI, now: "" }));
  found.putEndpoint(endpointRecord("e2", { hostname: "h2", host_ip: "192.0.2.2" }));
  const [peer] = peersOf(view, "h1", [{ id: network.id, mtu: 65_486 }]).values();
  assert.equal(peer?.mtu, LARGEST_PROBE);
});

Deno.test("peers are looked up again for hosts that come, go or move, and not for each endpoint", () => {
  const found = shared(), { view } = found;
  const told: boolean[] = [];
  view.subscribe((changes) => {
    for (const [id, change] of changes) told.push(concernsPeers(view, "h1", id, change));
  });
  const after = (act: () => void) => {
    told.length = 0;
    act();
    return told.includes(true);
  };
  const put = (id: string, values: Parameters<typeof endpointRecord>[1]) =>
    after(() => found.putEndpoint(endpointRecord(id, values)));
  assert.equal(put("e1", { hostname: "h1", host_ip: "192.0.2.1" }), false, "an endpoint of this host");
  assert.equal(put("e2", { hostname: "h2", host_ip: "192.0.2.2" }), true, "the first of another host");
  for (const id of ["e3", "e4", "e5"]) put(id, { hostname: "h2", host_ip: "192.0.2.2" });
  assert.equal(put("e6", { hostname: "h2", host_ip: "192.0.2.2" }), false, "one more of a known host");
  assert.equal(put("e6", { hostname: "h2", host_ip: "192.0.2.2", active: true }), false, "one that starts");
  assert.equal(put("e6", { hostname: "h2", host_ip: "192.0.2.9" }), true, "a host that moves");
  const presence = { hostname: "h3", mtu: 1450, now: "" };
  assert.equal(
    after(() => found.commit(planPresence(view, network.id, presence))),
    true,
    "a host that comes",
  );
});

Deno.test("a host tells once that it answers, keeps it when only its MTU changes, and takes it back", () => {
  const { view, commit, keys } = shared();
  const told = () => view.presence(keys.networkHost(network.id, "h1"))?.probe_vni;
  const presence = { hostname: "h1", mtu: 1450, now: "" };
  commit(planPresence(view, network.id, { ...presence, probeVni: PROBE_VNI }));
  assert.equal(told(), PROBE_VNI);
  assert.equal(planPresence(view, network.id, { ...presence, probeVni: PROBE_VNI }), undefined);
  commit(planPresence(view, network.id, { ...presence, mtu: 1400 }));
  assert.equal(told(), PROBE_VNI);
  commit(planPresence(view, network.id, { ...presence, mtu: 1400, probeVni: null }));
  assert.equal(told(), undefined);
});
