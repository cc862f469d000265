import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { type EndpointRequest, planCreateEndpoints } from "./create_endpoints.ts";
import { planName } from "./name_endpoint.ts";
import { whyUnnamed } from "./taken_names.ts";
import { lab, network } from "./testing.ts";

const AT = 1_790_000_000_000;
const host = { hostname: "h1", ip: Ip.parse("192.0.2.1"), apiHostname: "h1", mtu: 1450 };
const mac = "52:54:00:00:00:05";

/** A network, with settings unless they are left out, in which `vm` is reserved. */
function setUp({ named = true } = {}) {
  const it = lab(), { keys } = it;
  it.put({
    [keys.network(network.id)]: network,
    ...named ? { [keys.settings(network.id)]: { network: { name: "blue" }, overlay: {} } } : {},
    [keys.reservation(network.id, mac)]: { mac, name: "vm" },
  });
  return {
    ...it,
    create(id: string, request: Partial<EndpointRequest>) {
      const now = new Date(AT).toISOString();
      const { results: [result], plans } = planCreateEndpoints(it.view, network.id, host, [
        { id, now, ...request },
      ]);
      assert.ok(it.commit(plans));
      if (!result || result instanceof Refusal) throw result;
      return [result.strand_name, result.strand_unnamed];
    },
    name(id: string, name: string | undefined, ...aliases: string[]) {
      const plan = planName(it.view, id, "h1", { name, aliases }, AT);
      assert.ok(it.commit(plan));
      const { strand_name, strand_aliases, strand_unnamed } = it.view.endpoint(id)?.record ?? {};
      return [plan !== undefined, strand_name, strand_aliases, strand_unnamed];
    },
  };
}

Deno.test("a wished name is given where it is free and the network has settings; a requested one is refused otherwise", () => {
  const it = setUp();
  assert.deepEqual(it.create("A", { wishedName: "web" }), ["web", undefined]);
  assert.deepEqual(it.create("B", { wishedName: "web" }), [undefined, "web"]);
  assert.deepEqual(it.create("C", { wishedName: "vm" }), [undefined, "vm"]);
  assert.deepEqual(it.create("D", { wishedName: "ns" }), [undefined, "ns"]);
  assert.deepEqual(it.create("E", { wishedName: "web", mac }), ["vm", undefined]);
  assert.throws(() => it.create("F", { name: "web" }), { code: "exists" });
  const endpoint = it.view.endpoint("B");
  assert.match(
    `${endpoint && whyUnnamed(it.view, endpoint)}`,
    /has no name: web belongs to endpoint A on h1/,
  );
  assert.deepEqual(setUp({ named: false }).create("A", { wishedName: "web" }), [undefined, undefined]);
});

Deno.test("an endpoint that is there is named by the same rules", () => {
  const it = setUp();
  it.create("A", { name: "web" });
  it.create("B", {});
  assert.deepEqual(it.name("B", "db", "app", "gateway", "no label", "db", "app"), [
    true,
    "db",
    ["app"],
    undefined,
  ]);
  assert.deepEqual(it.name("B", "db", "app"), [false, "db", ["app"], undefined]);
  assert.deepEqual(it.name("B", "web"), [true, undefined, undefined, "web"]);
  assert.deepEqual(it.name("A", "www"), [true, "www", undefined, undefined]);
  assert.deepEqual(it.name("B", "web"), [true, "web", undefined, undefined]);
  assert.deepEqual(it.name("B", "vm"), [true, undefined, undefined, "vm"]);
  assert.deepEqual(it.name("B", undefined), [true, undefined, undefined, undefined]);
  assert.throws(() => planName(it.view, "A", "h2", { name: "x", aliases: [] }, AT), { code: "not-found" });
  const plain = setUp({ named: false });
  plain.create("A", {});
  assert.deepEqual(plain.name("A", "web"), [false, undefined, undefined, undefined]);
});
