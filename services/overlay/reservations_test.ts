/** What reservations mean for addresses, endpoints and the sweep of claims. */
import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import { planClaim, planRelease } from "./addresses.ts";
import { BitSet } from "./bit_set.ts";
import { Claims, freshBits } from "./claims.ts";
import { type EndpointRequest, planCreateEndpoints } from "./create_endpoints.ts";
import { planDeleteEndpoints } from "./endpoints.ts";
import { planPresence } from "./hosts.ts";
import { GRACE_MS, planSweep } from "./sweep.ts";
import { lab, network } from "./testing.ts";

/** Milliseconds since the epoch. */
const AT = 1_790_000_000_000;
const mac = "52:54:00:00:00:05", other = "52:54:00:00:00:06";
const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "h1", mtu: 1450 };

/** The network with a reservation of 10.0.0.5, whose bit is set. */
function setUp() {
  const it = lab(), { keys } = it;
  const claimed = freshBits(network);
  claimed.add(5);
  it.put({
    [keys.network(network.id)]: network,
    [keys.reservation(network.id, mac)]: { mac, name: "db", ip4: "10.0.0.5" },
    [keys.allocation(network.id)]: {
      id: network.id,
      address_range: network.ip_range,
      address_count: 256,
      bit_set: claimed.encode(),
    },
  });
  return {
    ...it,
    bits: () => [...BitSet.decode(it.json(keys.allocation(network.id)).bit_set).ones()],
    create(...requests: Partial<EndpointRequest>[]) {
      const now = new Date(AT).toISOString();
      return planCreateEndpoints(
        it.view,
        network.id,
        host,
        requests.map((request, i) => ({ id: `E${i}`, now, ...request })),
      );
    },
  };
}

Deno.test("an endpoint whose MAC has a reservation gets its address and name, and no other one that address", () => {
  const it = setUp();
  const { results, plans } = it.create(
    { address: Ip.parse("10.0.0.5") },
    { address: Ip.parse("10.0.0.5"), mac: other },
    { address: Ip.parse("10.0.0.9"), mac },
    { mac },
    { mac: other },
  );
  assert.deepEqual(
    results.map((r) => r instanceof Refusal ? r.message : [r.target_veth_ip, r.strand_name]),
    [
      `ipv4_address: 10.0.0.5 of network blue belongs to ${mac}, for which it is reserved`,
      `ipv4_address: 10.0.0.5 of network blue belongs to ${mac}, for which it is reserved`,
      `ipv4_address: 10.0.0.9 is not 10.0.0.5, which is reserved in network blue for ${mac}: request that one, or none`,
      ["10.0.0.5/24", "db"],
      ["10.0.0.2/24", undefined],
    ],
  );
  assert.ok(it.commit(plans));
  assert.deepEqual(it.bits(), [0, 1, 2, 5, 255]);
  assert.ok(it.commit(planDeleteEndpoints(it.view, ["E3", "E4"], { hostname: "h1", now: AT })));
  assert.deepEqual(it.bits(), [0, 1, 5, 255], "the reserved address stays claimed");
});

Deno.test("an endpoint that is planned while its MAC's reservation changes is planned again", () => {
  const it = setUp();
  const { plans } = it.create({ mac: other });
  it.put({ [it.keys.reservation(network.id, other)]: { mac: other, ip4: "10.0.0.7" } });
  assert.ok(!it.commit(plans));
  const again = it.create({ mac: other });
  it.put({ [it.keys.settings(network.id)]: { network: { name: "blue" } } });
  assert.ok(!it.commit(again.plans), "the settings have the range");
});

Deno.test("Docker may claim a reserved address before the MAC is known, and its release leaves it reserved", () => {
  const it = setUp(), address = Ip.parse("10.0.0.5");
  assert.ok(it.commit(planClaim(it.view, network.id, AT, address).plan));
  const wrong = it.create({ address, mac: other, claimed: true }).results[0];
  assert.match(wrong instanceof Refusal ? wrong.message : "", /for which it is reserved/);
  const planned = it.create({ address, mac, claimed: true });
  assert.ok(!(planned.results[0] instanceof Refusal));
  assert.equal(planRelease(it.view, network.id, AT, address), undefined);
  const derived = "02:84:0a:00:00:07";
  it.put({ [it.keys.reservation(network.id, derived)]: { mac: derived, ip4: "10.0.0.8" } });
  const [refused] = it.create({ mac: derived }).results;
  assert.match(
    refused instanceof Refusal ? refused.message : "",
    /^mac_address: .*is for the endpoint of another/,
  );
  const claims = new Claims(it.view, network, AT);
  claims.take(address, { mac });
  claims.undoAllocation(address);
  const builder = new PlanBuilder();
  claims.writeTo(builder);
  it.commit(builder.plan());
  assert.ok(it.bits().includes(5), "an endpoint that is refused leaves it reserved");
});

Deno.test("the next free address is within the set range, not reserved and not in quarantine", () => {
  const it = setUp(), { keys } = it;
  const range = (begin: string, end: string) => ({ network: { name: "blue", Range4: { begin, end } } });
  // A SAND agent has not set the bit of the reservation.
  it.put({ [keys.allocation(network.id)]: undefined });
  it.put({
    [keys.settings(network.id)]: range("10.0.0.4", "10.0.0.8"),
    [keys.withheldAddress(network.id, "10.0.0.6")]: { mac, until: AT / 1000 + 1 },
    [keys.withheldAddress(network.id, "10.0.0.7")]: { mac, until: AT / 1000 - 1 },
  });
  const claims = new Claims(it.view, network, AT);
  assert.deepEqual([1, 2, 3].map(() => `${claims.takeNext()}`), ["10.0.0.4", "10.0.0.7", "10.0.0.8"]);
  assert.equal(`${claims.takeNext()}`, "10.0.0.6", "once no other one is left");
  assert.throws(() => claims.takeNext(), {
    code: "exhausted",
    message: "network blue: none of the 5 addresses from 10.0.0.4 to 10.0.0.8 is left",
  });
});

Deno.test("where only addresses in quarantine are left, the one declined longest ago is given, and leaves it", () => {
  const it = setUp(), { keys } = it, key = (n: number) => keys.withheldAddress(network.id, `10.0.0.${n}`);
  it.put({
    [keys.settings(network.id)]: {
      network: { name: "blue", Range4: { begin: "10.0.0.6", end: "10.0.0.8" } },
    },
    [key(5)]: { mac, until: AT / 1000 + 1 },
    [key(6)]: { mac, until: AT / 1000 + 30 },
    [key(7)]: { mac, until: AT / 1000 + 10 },
    [key(8)]: { mac, until: AT / 1000 + 20 },
    [key(9)]: { mac, until: AT / 1000 + 1 },
  });
  const claims = new Claims(it.view, network, AT), builder = new PlanBuilder();
  assert.deepEqual([1, 2].map(() => `${claims.takeNext()}`), ["10.0.0.7", "10.0.0.8"]);
  claims.undoAllocation(Ip.parse("10.0.0.8"));
  claims.writeTo(builder);
  assert.ok(it.commit(builder.plan()));
  assert.deepEqual(
    [...it.view.space(network.id).withheld.keys()].sort(),
    [5, 6, 8, 9].map((n) => `10.0.0.${n}`),
  );
});

Deno.test("a transaction takes as many addresses out of quarantine as it has room for", () => {
  const it = setUp(), { keys } = it, many = Array.from({ length: 200 }, (_, i) => `10.0.0.${i + 10}`);
  const set = { begin: "10.0.0.10", end: "10.0.0.209" };
  it.put({
    [keys.settings(network.id)]: { network: { name: "blue", Range4: set } },
    ...Object.fromEntries(
      many.map((a) => [keys.withheldAddress(network.id, a), { mac, until: AT / 1000 + 9 }]),
    ),
  });
  const claims = new Claims(it.view, network, AT), builder = new PlanBuilder();
  for (const _ of many) claims.takeNext();
  claims.writeTo(builder);
  assert.ok(builder.room >= 0 && it.commit(builder.plan()));
  assert.ok(it.view.space(network.id).withheld.size < 90);
});

Deno.test("planSweep() keeps reserved addresses claimed, and frees nothing while a reservation cannot be read", () => {
  const it = setUp(), late = AT + 2 * GRACE_MS;
  assert.equal(planSweep(it.view, network, new Map([[5, AT]]), late).plan, undefined);
  it.put({ [it.keys.reservation(network.id, other)]: { mac: other, ip4: "10.0.0.7" } });
  const sweep = planSweep(it.view, network, new Map(), AT);
  assert.equal(sweep.claimed, 1, "one whose bit an earlier agent has freed");
  assert.ok(it.commit(sweep.plan));
  assert.deepEqual(it.bits(), [0, 1, 5, 7, 255]);
  it.put({ [it.keys.reservation(network.id, mac)]: { mac, ip4: "nowhere" } });
  assert.throws(() => planSweep(it.view, network, new Map(), late), {
    code: "forbidden",
    message: new RegExp(`^the record ${it.keys.reservation(network.id, mac)} in etcd cannot be read`),
  });
});

Deno.test("hosts whose agent does not know reservations are known: SAND's and earlier ones of this", () => {
  const it = setUp(), { keys } = it;
  it.put({
    [keys.networkHost(network.id, "go")]: { id: network.id, created_at: "" },
    [keys.networkHost(network.id, "older")]: { id: network.id, created_at: "", mtu: 1450 },
  });
  const present = (hostname: string) =>
    it.commit(planPresence(it.view, network.id, { hostname, mtu: 1450, now: "" }));
  assert.ok(present("h1"));
  assert.deepEqual(it.view.space(network.id).hostsWithoutNames(), ["go", "older"]);
  assert.ok(present("older"), "an agent that was upgraded says so");
  assert.deepEqual(it.view.space(network.id).hostsWithoutNames(), ["go"]);
});

Deno.test("Space finds reservations by address and label", () => {
  const it = setUp(), { keys } = it, space = () => it.view.space(network.id);
  const at = (address: string) => space().reservedAt(Ip.parse(address).u32);
  assert.deepEqual([at("10.0.0.5"), [...space().reservationsNamed("db")]], [mac, [mac]]);
  it.put({
    [keys.reservation(network.id, other)]: { mac: other, name: "db", ip4: "10.0.0.6", shared: true },
  });
  assert.deepEqual([...space().reservationsNamed("db")], [mac, other]);
  it.put({ [keys.reservation(network.id, mac)]: { mac, name: "sql", ip4: "10.0.0.7" } });
  assert.deepEqual([at("10.0.0.5"), at("10.0.0.7")], [undefined, mac]);
  assert.deepEqual([...space().reservedNames()].sort(), ["db", "sql"]);
  it.put({ [keys.reservation(network.id, mac)]: undefined });
  assert.deepEqual([at("10.0.0.7"), [...space().reservedNames()]], [undefined, ["db"]]);
});
