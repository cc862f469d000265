import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { desiredState } from "./desired.ts";
import { planDeleteEndpoints } from "./endpoints.ts";
import { macNumber } from "./state.ts";
import { planSweep } from "./sweep.ts";
import { endpointRecord, lab, network } from "./testing.ts";

const SHARED = "10.0.0.99";
const number = (text: string) => Ip.parse(text).u32;

Deno.test("an address that several may use is reached at the endpoint that has it", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  const put = (id: string, hostname: string, fields: object = {}) =>
    it.putEndpoint(endpointRecord(id, {
      hostname,
      host_ip: `192.0.2.${id}`,
      target_veth_mac: `02:84:0a:00:00:0${id}`,
      target_veth_ip: `10.0.0.${id}/24`,
      strand_allowed: [{ address: SHARED }],
      active: true,
      ...fields,
    }));
  put("2", "h2");
  put("3", "h3", { strand_allowed: [{ address: SHARED, mac: "00:00:5e:00:01:09" }] });
  put("4", "h1", { strand_allowed: undefined });
  const held = (endpoint: string) => it.put({ [it.keys.heldAddress(network.id, SHARED)]: { endpoint } });
  const found = () => desiredState(it.view, network.id, { hostname: "h1", underlayMtu: 1500 }).state;
  assert.equal(found()?.arp.get(number(SHARED)), undefined);
  held("2");
  assert.equal(found()?.arp.get(number(SHARED)), macNumber("02:84:0a:00:00:02"));
  held("3");
  const mac = macNumber("00:00:5e:00:01:09");
  assert.equal(found()?.arp.get(number(SHARED)), mac);
  assert.equal(found()?.fdb.get(mac), number("192.0.2.3"));
  // What may not use it, or is not active, does not have it.
  held("4");
  assert.equal(found()?.arp.get(number(SHARED)), undefined);
  held("3");
  put("3", "h3", { active: false });
  assert.equal(found()?.arp.get(number(SHARED)), undefined);
});

Deno.test("what is allowed stays claimed until the last endpoint that may use it is gone", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  for (const id of ["2", "3"]) {
    it.putEndpoint(
      endpointRecord(id, { target_veth_ip: `10.0.0.${id}/24`, strand_allowed: [{ address: SHARED }] }),
    );
  }
  it.put({ [it.keys.heldAddress(network.id, SHARED)]: { endpoint: "3" } });
  const sweep = planSweep(it.view, network, new Map(), 0);
  assert.deepEqual([sweep.freed, sweep.suspects.size], [0, 0]);
  const removed = (id: string) =>
    planDeleteEndpoints(it.view, [id], { hostname: "h1", now: 0 }).flatMap(({ ops }) => ops)
      .flatMap((op) => "remove" in op ? [op.remove] : []);
  const key = it.keys.heldAddress(network.id, SHARED);
  assert.ok(!removed("2").includes(key));
  assert.ok(removed("3").includes(key));
});
