import assert from "node:assert/strict";
import { desiredState } from "./desired.ts";
import { endpointRecord, lab, network } from "./testing.ts";

Deno.test("what is a port's own follows the endpoints of this host, and the rules the network's settings", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  const put = (id: string, fields: object) =>
    it.putEndpoint(endpointRecord(id, {
      overlay_veth_name: `sand000${id}`,
      target_netns_path: `/run/${id}`,
      target_veth_name: "eth0",
      target_veth_mac: `02:84:0A:00:00:0${id}`,
      target_veth_ip: `10.0.0.${id}/24`,
      active: true,
      ...fields,
    }));
  put("2", {});
  put("3", { active: false });
  put("4", { hostname: "h2", host_ip: "192.0.2.2" });
  // Machines behind devices: of one the device is known, of the other one it is not.
  put("5", { kind: "dhcp", overlay_veth_name: "" });
  put("7", { kind: "dhcp", overlay_veth_name: "", strand_port: "tap0" });
  // A younger one that names the port of another: the port stays what it is.
  put("6", { overlay_veth_name: "sand0002" });
  // As SAND's agents made some: what it may send is not known.
  put("8", { target_veth_mac: "" });
  const found = (contains = true) =>
    desiredState(it.view, network.id, { hostname: "h1", underlayMtu: 1500, contains, devices: ["tap0"] })
      .state
      ?.containment;
  const own = new Set([
    ...["sand0002", "sand0002 02:84:0a:00:00:02", "sand0002 02:84:0a:00:00:02 10.0.0.2"],
    ...["sand0008", "sand0008 unchecked"],
    ...["tap0", "tap0 device", "tap0 02:84:0a:00:00:07", "tap0 02:84:0a:00:00:07 10.0.0.7"],
  ]);
  const settings = (overlay: object) =>
    it.put({ [it.keys.settings(network.id)]: { network: { name: "blue" }, overlay } });

  assert.deepEqual(found(), { rules: "count", own });
  assert.equal(found(false), undefined);
  settings({});
  assert.deepEqual(found(), { rules: "served", own });
  settings({ contain: true });
  assert.deepEqual(found(), { rules: "drop", own });
  settings({ contain: true, trusted: true });
  assert.deepEqual(found(), { rules: "none", own });
});
