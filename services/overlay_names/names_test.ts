import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { endpointRecord, lab, network } from "../overlay/testing.ts";
import { addressesOf, labelsChanged, nameAt, namesOf } from "./names.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;

function setUp() {
  const it = lab(), space = () => it.view.space(network.id);
  return {
    ...it,
    reserve: (n: number, fields: object) =>
      it.put({ [it.keys.reservation(network.id, mac(n))]: { mac: mac(n), ip4: `10.0.0.${n}`, ...fields } }),
    endpoint: (n: number, fields: object) =>
      it.putEndpoint(
        endpointRecord(`E${n}`, { target_veth_ip: `10.0.0.${n}/24`, target_veth_mac: mac(n), ...fields }),
      ),
    of: (label: string) => addressesOf(space(), label).map((address) => Ip.from4(address).bytes[3]),
    at: (n: number) => nameAt(space(), Ip.parse(`10.0.0.${n}`).u32),
    all: () => Object.fromEntries([...namesOf(space())].map(([name, { length }]) => [name, length])),
  };
}

Deno.test("of endpoints with one name the oldest has it, and after that the next one", () => {
  const it = setUp();
  it.endpoint(2, { strand_name: "web" });
  it.endpoint(3, { strand_name: "web" });
  assert.deepEqual([it.of("web"), it.at(2), it.at(3)], [[2], "web", undefined]);
  it.put({
    [it.keys.hostEndpoint("h1", "E2")]: undefined,
    [it.keys.networkEndpoint(network.id, "E2")]: undefined,
  });
  assert.deepEqual([it.of("web"), it.at(3)], [[3], "web"]);
});

Deno.test("endpoints that have a label as an alias share it", () => {
  const it = setUp();
  it.endpoint(2, { strand_name: "web-1", strand_aliases: ["web"] });
  it.endpoint(3, { strand_name: "web-2", strand_aliases: ["web"] });
  assert.deepEqual([it.of("web"), it.of("web-2"), it.at(3)], [[2, 3], [3], "web-2"]);
  it.endpoint(4, { strand_name: "web" });
  assert.deepEqual(it.of("web"), [2, 3, 4]);
  assert.deepEqual(it.all(), { "web-1": 1, "web-2": 1, web: 3 });
});

Deno.test("a reservation has its name before any endpoint, whose own name is that of its reservation", () => {
  const it = setUp();
  it.endpoint(2, { strand_name: "db" });
  it.reserve(5, { name: "db" });
  assert.deepEqual([it.of("db"), it.at(2), it.at(5)], [[5], undefined, "db"]);
  it.endpoint(5, { strand_name: "old" });
  assert.deepEqual([it.of("db"), it.of("old"), it.at(5)], [[5], [], "db"]);
  assert.deepEqual(it.all(), { db: 1 });
});

Deno.test("the gateway's own labels stand for no machine, whatever other hosts have written", () => {
  const it = setUp();
  it.endpoint(2, { strand_name: "gateway", strand_aliases: ["ns"] });
  it.reserve(5, { name: "ns" });
  assert.deepEqual([it.of("gateway"), it.of("ns"), it.at(2), it.at(5)], [[], [], undefined, undefined]);
  assert.deepEqual(it.all(), {});
});

Deno.test("a shared name is answered with every machine that has it", () => {
  const it = setUp();
  it.reserve(5, { name: "www", shared: true });
  it.reserve(6, { name: "www", shared: true });
  it.endpoint(7, { strand_name: "www" });
  it.endpoint(8, { strand_name: "www" });
  assert.deepEqual([it.of("www"), it.at(6)], [[5, 6, 7, 8], "www"]);
  assert.deepEqual(it.of("none"), []);
});

Deno.test("a reservation without an address stands for the endpoint that has its MAC", () => {
  const it = setUp();
  it.reserve(7, { name: "vm", ip4: undefined });
  assert.deepEqual(it.of("vm"), []);
  it.endpoint(7, {});
  assert.deepEqual([it.of("vm"), it.at(7)], [[7], "vm"]);
});

Deno.test("a change tells the labels whose addresses it may have changed", () => {
  const it = setUp(), changed: string[][] = [];
  it.view.subscribe((changes) => {
    const change = changes.get(network.id);
    if (change) changed.push([...labelsChanged(it.view.space(network.id), change)].sort());
  });
  const told = (act: () => void) => {
    changed.length = 0;
    act();
    return [...new Set(changed.flat())].sort();
  };
  assert.deepEqual(told(() => it.endpoint(2, { strand_name: "web", strand_aliases: ["all"] })), [
    "all",
    "web",
  ]);
  assert.deepEqual(told(() => it.endpoint(2, { strand_name: "www" })), ["all", "web", "www"]);
  assert.deepEqual(told(() => it.reserve(7, { name: "vm" })), ["vm"]);
  assert.deepEqual(told(() => it.endpoint(7, {})), ["vm"]);
  assert.deepEqual(told(() => it.reserve(7, { name: "db" })), ["db", "vm"]);
  assert.deepEqual(told(() => it.put({ [it.keys.settings(network.id)]: { network: { name: "blue" } } })), []);
});
