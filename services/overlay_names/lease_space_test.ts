import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { addressFor, planLease, planLeaseEnd } from "../nex/leases.ts";
import { planDecline } from "../nex/quarantine.ts";
import { planCreateEndpoints } from "../overlay/create_endpoints.ts";
import { planSweep } from "../overlay/sweep.ts";
import { storedBits } from "../overlay/claims.ts";
import { joinLeases } from "./join_leases.ts";
import type { EndpointLeasePlan } from "./lease_plans.ts";
import { OverlayLeases } from "./lease_space.ts";
import { AT, blue, idOf, namedLab } from "./testing.ts";

const NOW = AT / 1000;
const mac = (n: number) => `52:54:00:00:00:0${n}`;

function setUp() {
  const it = namedLab(), { view } = it, id = idOf(1);
  it.apply(blue);
  let made = 0;
  const on = (hostname: string, ip = "192.0.2.1", traceparent?: string, heardAt?: string) => {
    const record = view.network(id), { settings } = view.space(id);
    assert(record && settings);
    const host = {
      hostname,
      ip: Ip.parse(ip),
      apiHostname: "",
      newId: () => `e${++made}`,
      timestamp: () => "",
      traceparent,
      heardAt,
    };
    return new OverlayLeases(view, record, settings, host, NOW);
  };
  const lease = (leases: OverlayLeases, client: string, hostname?: string, address?: string) => {
    const [network] = leases.networks();
    assert(network);
    const placement = { network, member: leases.member(client) };
    const given = address === undefined ? addressFor(leases, placement, client) : Ip.parse(address);
    return planLease(leases, placement, { mac: client, address: given, hostname, now: NOW, trustedNow: NOW });
  };
  const commit = (...plans: readonly EndpointLeasePlan[]) => {
    const { plan, refused } = joinLeases(view, id, plans, AT);
    return plan !== undefined && refused.size === 0 && it.store.write(plan).committed;
  };
  const container = (address: string, given?: string) => {
    const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "", mtu: 1450 };
    const request = {
      id: `c${++made}`,
      now: new Date(AT).toISOString(),
      address: Ip.parse(address),
      mac: given,
    };
    return it.commit(planCreateEndpoints(view, id, host, [request]).plans);
  };
  return { ...it, id, on, lease, commit, container };
}

Deno.test("a lease is a record that SAND's agents can read, with its claim; others keep what they do not know of it", () => {
  const it = setUp(), planned = it.lease(it.on("h1"), mac(1), "vm");
  assert(planned.kind === "commit");
  assert.ok(it.commit(planned.plan));
  const [endpoint] = it.view.space(it.id).endpoints.values();
  assert.deepEqual(endpoint?.record, {
    id: "e1",
    network_id: it.id,
    hostname: "h1",
    host_ip: "192.0.2.1",
    api_hostname: "",
    created_at: "",
    target_netns_path: "",
    overlay_veth_name: "",
    overlay_veth_mac: "",
    target_veth_name: "",
    target_veth_mac: mac(1),
    target_veth_ip: "10.0.0.2/24",
    active: true,
    kind: "dhcp",
    expires_at: "2026-09-21T18:13:20Z",
    strand_name: "vm",
  });
  const network = it.view.network(it.id), allocation = it.view.allocation(it.id);
  assert(network && allocation);
  assert.ok(storedBits(network, allocation).has(2));
  assert.deepEqual(planSweep(it.view, network, new Map(), AT, 0).plan, undefined);
});

Deno.test("a lease has the trace that it was given in, which stays when it is renewed in another", () => {
  const it = setUp();
  for (const trace of ["first", "second"]) {
    const planned = it.lease(it.on("h1", "192.0.2.1", trace), mac(1));
    assert(planned.kind === "commit");
    const { claims } = planned.plan as EndpointLeasePlan;
    assert.ok(claims ? it.commit(planned.plan) : it.store.write(planned.plan).committed);
    const [endpoint] = it.view.space(it.id).endpoints.values();
    assert.equal(endpoint?.record.strand_traceparent, "first");
    assert.equal(claims?.traceparent, trace === "first" ? trace : undefined);
  }
});

Deno.test("a container that asks by DHCP has its own address; nothing of it is written, given back or declined", () => {
  const it = setUp();
  assert.ok(it.container("10.0.0.7", mac(7)));
  const leases = it.on("h1"), planned = it.lease(leases, mac(7), "x"), member = leases.member(mac(7));
  assert(planned.kind === "commit" && member);
  assert.deepEqual([`${planned.address}`, planned.plan.ops], ["10.0.0.7", []]);
  assert.equal(planLeaseEnd(leases, member, NOW), undefined);
  const [network] = leases.networks();
  assert(network);
  assert.equal(planDecline(leases, network, member, NOW), undefined);
});

Deno.test("an address that was declined is in quarantine with the host and port by which it was", () => {
  const it = setUp(), planned = it.lease(it.on("h1"), mac(1));
  assert(planned.kind === "commit" && it.commit(planned.plan));
  const leases = it.on("h1", "192.0.2.1", undefined, "tap0"), member = leases.member(mac(1));
  const [network] = leases.networks();
  const plan = network && member && planDecline(leases, network, member, NOW);
  assert(plan && it.commit(plan));
  assert.deepEqual([...it.view.space(it.id).withheld], [[
    "10.0.0.2",
    { mac: mac(1), until: NOW + 24 * 3600, host: "h1", port: "tap0" },
  ]]);
});

Deno.test("leases that are asked for at the same time share a transaction; of two for one address the second is planned again", () => {
  const it = setUp(), leases = it.on("h1");
  const plans = [
    it.lease(leases, mac(1), undefined, "10.0.0.2"),
    it.lease(leases, mac(2), undefined, "10.0.0.3"),
    it.lease(leases, mac(3), undefined, "10.0.0.2"),
  ].map((planned) => planned.kind === "commit" ? planned.plan : assert.fail(planned.kind));
  const joined = joinLeases(it.view, it.id, plans, AT);
  assert.deepEqual([joined.used, [...joined.refused]], [3, [2]]);
  assert(joined.plan);
  assert.ok(it.store.write(joined.plan).committed);
  assert.equal(it.view.space(it.id).endpoints.size, 2);
  // A hundred do not fit into one transaction.
  const many = Array.from({ length: 100 }, (_, i) => {
    const planned = it.lease(
      leases,
      `52:54:00:00:01:${(i + 16).toString(16)}`,
      undefined,
      `10.0.0.${i + 20}`,
    );
    return planned.kind === "commit" ? planned.plan : assert.fail(planned.kind);
  });
  const first = joinLeases(it.view, it.id, many, AT);
  assert.ok(first.used > 10 && first.used < 100, `${first.used}`);
});

Deno.test("of two hosts that give one MAC or one name at the same time only one does, also where the address is reserved", () => {
  const it = setUp();
  it.members("blue", (draft) => draft.add([{ list: [{ mac: mac(9), ip4: "10.0.0.9" }], force: false }]));
  const race = (plans: readonly ReturnType<typeof it.lease>[]) => {
    const joined = plans.map((planned) => {
      assert(planned.kind === "commit");
      const { plan } = joinLeases(it.view, it.id, [planned.plan], AT);
      return plan ?? assert.fail("nothing to write");
    });
    return joined.map((plan) => it.store.write(plan).committed);
  };
  for (const client of [mac(1), mac(9)]) {
    assert.deepEqual(race(["h1", "h2"].map((host) => it.lease(it.on(host), client))), [true, false], client);
  }
  const named = [2, 3].map((n) => it.lease(it.on(`h${n}`), mac(n), "vm", `10.0.0.${n + 20}`));
  assert.deepEqual(race(named), [true, false]);
});
