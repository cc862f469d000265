import assert from "node:assert/strict";
import { Type } from "../../dhcpd/numbers.ts";
import type { DhcpQuery } from "../../overlay_names/gateway_messages.ts";
import { endpointRecord, lab, network } from "../../overlay/testing.ts";
import type { Context } from "../context.ts";
import { DhcpAdmission } from "./dhcp_admission.ts";
import { PortShares } from "./port_shares.ts";

const macOf = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;
const addressOf = (n: number) => 0x0a000000 + n;

function setUp() {
  const it = lab(), until = Math.ceil(Date.now() / 1000) + 3600;
  it.put({ [it.keys.network(network.id)]: network });
  const time = { ms: 0 };
  const context = {
    view: it.view,
    host: { hostname: "h1" },
    ports: {
      mostLeases: (_: string, port: string) => port === "trunk0" ? 1000 : 64,
      devices: () => ["tap0"],
    },
    kernel: { containment: { missing: undefined as string | undefined } },
    log: { warn() {} },
    namespacePath: () => "/run/netns/there-is-none",
  } as unknown as Context;
  const shares = new PortShares(() => context, () => time.ms);
  const query = (n: number, port: string, type: number): DhcpQuery => ({
    ...{ kind: "ask", network: network.id, question: n, port, type, mac: macOf(n), ciaddr: 0, source: 0 },
    ...{ unicast: false, received: 0, requested: addressOf(n) },
  });
  const space = () => it.view.space(network.id);
  return {
    ...{ ...it, context, shares, time, query, space },
    lease: (n: number) =>
      it.putEndpoint(
        endpointRecord(`${n}`, { kind: "dhcp", target_veth_ip: `10.0.0.${n}/24`, target_veth_mac: macOf(n) }),
      ),
    decline: (n: number, port: string) => shares.mayDecline(query(n, port, Type.decline), space()),
    withhold: (n: number, host: string, port: string) =>
      it.put({ [it.keys.withheldAddress(network.id, `10.0.0.${n}`)]: { mac: macOf(n), until, host, port } }),
    written: (port: string, count: number) =>
      Array.from({ length: count }, () => shares.mayWrite(query(9, port, Type.request), space())).filter(
        Boolean,
      ).length,
  };
}

Deno.test("machines behind one port decline eight addresses at most, with whatever MACs, written or about to be", () => {
  const it = setUp();
  for (let n = 10; n < 30; n++) it.lease(n);
  for (let n = 10; n < 14; n++) it.withhold(n, "h1", "tap0");
  for (let n = 30; n < 60; n++) it.withhold(n, "h2", "tap0");
  for (let n = 14; n < 18; n++) assert.ok(it.decline(n, "tap0"), `${n}`);
  assert.deepEqual(it.shares.declining, []);
  assert.equal(it.decline(18, "tap0"), false);
  assert.ok(it.decline(17, "tap0"), "one that is sent again");
  assert.ok(it.decline(40, "tap0"), "one of an address that its client does not have is ignored later");
  assert.ok(it.decline(18, "tap1"), "another port's");
  for (let n = 14; n < 18; n++) it.withhold(n, "h1", "tap0");
  assert.deepEqual(it.shares.declining, [{ network: network.id, port: "tap0" }]);
  it.time.ms = 20_000;
  assert.equal(it.decline(19, "tap0"), false);
  it.put({ [it.keys.withheldAddress(network.id, "10.0.0.10")]: undefined });
  assert.deepEqual(it.shares.declining, []);
  assert.ok(it.decline(19, "tap0"));
});

Deno.test("a DECLINE that was not written counts for some seconds only", () => {
  const it = setUp();
  for (let n = 10; n < 30; n++) it.lease(n);
  for (let n = 10; n < 18; n++) it.decline(n, "tap0");
  assert.equal(it.decline(18, "tap0"), false);
  it.time.ms = 12_001;
  assert.ok(it.decline(18, "tap0"));
});

Deno.test("128 machines behind a port get their leases at once, and from then on 20 a second are written for it", () => {
  const it = setUp();
  assert.equal(it.written("tap0", 500), 128);
  assert.equal(it.written("tap1", 500), 128);
  it.time.ms += 1000;
  assert.equal(it.written("tap0", 500), 20);
  assert.ok(it.shares.mayWrite(it.query(9, "tap0", Type.discover), it.space()), "an offer is not written");
  assert.ok(!it.shares.mayWrite({ ...it.query(9, "tap0", Type.discover), rapid: true }, it.space()));
  assert.ok(!it.shares.mayWrite(it.query(9, "tap0", Type.release), it.space()));
});

Deno.test("a port that may have many leases, or short ones, may have them written", () => {
  const it = setUp();
  assert.equal(it.written("trunk0", 5000), 1000);
  it.put({ [it.keys.settings(network.id)]: { network: { name: "blue", lease_duration: 100 } } });
  it.time.ms += 1000;
  assert.equal(it.written("trunk0", 5000), 40);
});

Deno.test("what gatewayd says it heard at no port of the network is not answered", () => {
  const it = setUp(), admission = new DhcpAdmission(() => it.context);
  for (const port of ["", "tap0 ", "a/b", "a".repeat(16), "lo", "br0", "vxlan0", "tap0"]) {
    assert.equal(admission.admits(it.query(9, port, Type.discover)), false, port);
  }
  assert.equal(admission.refused["no-port"], 8);
});
