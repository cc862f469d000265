import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { endpointRecord, lab, network } from "./testing.ts";
import { vtepElements, vtepStamp } from "./vteps.ts";

Deno.test("VXLAN of a network is taken from the other hosts that have endpoints in it", () => {
  const it = lab();
  const host = { hostname: "h1", vtep: Ip.parse("192.0.2.1").u32 };
  const stamps = new Set<string>();
  const found = () => {
    stamps.add(vtepStamp(it.view, network.id, host));
    return [...vtepElements(it.view, network.id, host)];
  };
  const put = (id: string, hostname: string, vtep: string) =>
    it.putEndpoint(endpointRecord(id, { hostname, host_ip: vtep, target_veth_ip: `10.0.0.${id}/24` }));
  const vni = network.vxlan_vni;
  assert.deepEqual(found(), []);
  it.put({ [it.keys.network(network.id)]: network });
  assert.deepEqual(found(), ["port 4789", `count ${vni}`]);
  put("2", "h1", "192.0.2.1");
  put("3", "h2", "192.0.2.2");
  const both = ["port 4789", `count ${vni}`, "host 192.0.2.2", `vtep ${vni} 192.0.2.2`];
  assert.deepEqual(found(), both);
  const before = stamps.size;
  put("4", "h2", "192.0.2.2");
  // No host can have these.
  put("5", "h3", "224.0.0.1");
  put("6", "h4", "127.0.0.1");
  put("7", "h5", "2001:db8::1");
  assert.deepEqual(found(), both);
  assert.equal(stamps.size, before);
  it.put({
    [it.keys.settings(network.id)]: { network: { name: "blue" }, overlay: { contain: true, trusted: true } },
  });
  assert.deepEqual(found(), ["port 4789", `drop ${vni}`, "host 192.0.2.2", `vtep ${vni} 192.0.2.2`]);
  assert.equal(stamps.size, before + 1);
});
