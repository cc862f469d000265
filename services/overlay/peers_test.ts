import assert from "node:assert/strict";
import { planPresence } from "./hosts.ts";
import { peersOf } from "./peers.ts";
import { PROBE_VNI } from "./state.ts";
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
