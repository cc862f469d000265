import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { endpointRecord } from "../overlay/testing.ts";
import { type MachineArrival, planArrival } from "./arrivals.ts";
import { AT, blue, idOf, namedLab } from "./testing.ts";

const MAC = "52:54:00:00:00:05", OTHER = "52:54:00:00:00:06";

function setUp() {
  const it = namedLab(), { view, keys } = it, id = idOf(1);
  it.apply(blue);
  it.members("blue", (draft) =>
    draft.add([{ list: [{ mac: MAC, name: "db", ip4: "10.0.0.5" }], force: false }]));
  let made = 0;
  const plan = (hostname: string, more: Partial<MachineArrival> = {}) => {
    const host = {
      hostname,
      ip: Ip.parse(`192.0.2.${hostname.slice(1)}`),
      apiHostname: "",
      timestamp: () => "",
    };
    const arrival = { network: id, mac: MAC, port: "tap0", named: true, ...more };
    return planArrival(view, arrival, { ...host, newId: () => `e${++made}` }, AT);
  };
  const endpoints = () =>
    [...view.space(id).endpoints.values()].map(({ id, host, address, record }) =>
      [id, host, address, record.kind, record.strand_port, record.strand_name, record.expires_at].join(" ")
    ).sort();
  const put = (name: string, fields: object) =>
    it.putEndpoint(endpointRecord(name, {
      network_id: id,
      target_veth_mac: OTHER,
      target_veth_ip: "10.0.0.9/24",
      active: true,
      ...fields,
    }));
  return { ...it, id, keys, plan, endpoints, put };
}

Deno.test("a member that a port names is an endpoint with its reservation, until the end of which nothing changes", () => {
  const it = setUp();
  assert(it.commit(it.plan("h1")));
  assert.deepEqual(it.endpoints(), ["e1 h1 10.0.0.5 static tap0 db "]);
  assert.equal(it.plan("h1"), undefined);
  // On another port of the host it is the same endpoint; on another host it is another one.
  assert(it.commit(it.plan("h1", { port: "tap1" })));
  assert.deepEqual(it.endpoints(), ["e1 h1 10.0.0.5 static tap1 db "]);
  assert(it.commit(it.plan("h2")));
  assert.equal(it.endpoints().length, 1);
  assert.match(it.endpoints()[0] ?? "", /^e\d h2 10\.0\.0\.5 static tap0 db $/);
  assert.deepEqual(it.keysUnder(it.keys.hostEndpoints("h1")), []);
  assert.throws(
    () => it.plan("h1", { mac: OTHER }),
    /52:54:00:00:00:06 has no reservation with an address in network/,
  );
});

Deno.test("a lease moves with its address, name and end, and with what other programs have written into its record", () => {
  const it = setUp(), lease = { kind: "dhcp", strand_port: "tap0", strand_name: "vm", other: 7 };
  const trace = { strand_traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` };
  it.put("x", { ...lease, ...trace, expires_at: "2030-01-01T00:00:00Z" });
  const arrival = { mac: OTHER, named: false, port: "tap3" }, moved = it.plan("h2", arrival);
  assert(it.commit(moved));
  const [found] = it.view.space(it.id).endpoints.values();
  assert.match(it.endpoints().join(), /^e\d h2 10\.0\.0\.9 dhcp tap3 vm 2030-01-01T00:00:00Z$/);
  assert.deepEqual([found?.record.other, found?.record.host_ip], [7, "192.0.2.2"]);
  assert.equal(found && "strand_traceparent" in found.record, false, "it is the other endpoint's trace");
  // It has gone meanwhile: the same plan again is refused.
  assert.equal(it.commit(moved), false);
  assert.throws(() => it.plan("h2", { ...arrival, mac: "52:54:00:00:00:07" }), /has no address/);
});

Deno.test("no machine behind a port takes what is a container's, or another machine's address", () => {
  const it = setUp();
  it.put("c", { target_veth_mac: MAC, target_veth_ip: "10.0.0.7/24", overlay_veth_name: "sand0001" });
  assert.throws(() => it.plan("h2"), { code: "exists", message: /is the MAC of endpoint c on h1/ });
  const other = setUp();
  other.put("d", { target_veth_ip: "10.0.0.5/24", kind: "dhcp" });
  assert.throws(() => other.plan("h2"), {
    code: "exists",
    message: /10\.0\.0\.5 .* belongs to endpoint d on h1/,
  });
});
