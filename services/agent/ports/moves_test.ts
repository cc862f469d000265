import assert from "node:assert/strict";
import { endpointRecord } from "../../overlay/testing.ts";
import { blue, idOf, namedLab } from "../../overlay_names/testing.ts";
import type { MachineAt } from "../api.ts";
import type { Context } from "../context.ts";
import { keptLog } from "../http/testing.ts";
import { MachineMoves } from "./machine_moves.ts";

const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;

/** A host, h1, on whose ports machines of h2 send; what is asked of h2 is answered by the test. */
function setUp() {
  const it = namedLab(), { log, lines } = keptLog(), id = idOf(1);
  it.apply(blue);
  const put = (n: number, fields: object = {}) =>
    it.putEndpoint(endpointRecord(`e${n}`, {
      ...{
        network_id: id,
        hostname: "h2",
        host_ip: "192.0.2.2",
        active: true,
        kind: "dhcp",
        strand_port: "tap0",
      },
      ...{ target_veth_mac: mac(n), target_veth_ip: `10.0.0.${n}/24`, ...fields },
    }));
  const requests: { mac: string | undefined; answer: PromiseWithResolvers<MachineAt> }[] = [];
  const arrived: string[] = [], named = new Set<string>(), counts: Record<string, number> = {};
  const counters = {
    moves: { inc: ({ result }: { result: string }) => counts[result] = (counts[result] ?? 0) + 1 },
  };
  const clock = { now: 0 };
  const context = { view: it.view, log, counters, host: { hostname: "h1" }, storeGuard: { hold: undefined } };
  const moves = new MachineMoves(() => context as unknown as Context, {
    requestMachine: ({ mac }) => {
      const answer = Promise.withResolvers<MachineAt>();
      requests.push({ mac, answer });
      return answer.promise;
    },
    arrive: ({ mac, port, named }) => Promise.resolve(arrived.push(`${mac} ${port} ${named}`) > 0),
    isNamed: ({ mac }) => named.has(mac),
    now: () => clock.now,
  });
  const seen = (n: number, port = "tap1") => moves.seen({ network: id, port, mac: mac(n) });
  return { ...it, put, moves, seen, requests, arrived, named, counts, lines, clock };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("a machine is taken in where its old host says that it is gone, and asked for once", async () => {
  const it = setUp();
  it.put(5);
  it.seen(6); // It has no endpoint: it asks for an address first.
  for (let i = 0; i < 50; i++) it.seen(5);
  assert.deepEqual(it.requests.map(({ mac }) => mac), [mac(5)]);
  it.requests[0]?.answer.resolve({ isThere: false, why: "was at tap0, which is gone on h2" });
  await settled();
  assert.deepEqual([it.arrived, it.moves.refused, it.counts], [[`${mac(5)} tap1 false`], [], { moved: 1 }]);
});

Deno.test("a machine that is still there, a container, and a host that does not answer: it is said, and asked again later", async () => {
  const it = setUp();
  it.put(5);
  it.put(6, { kind: undefined, overlay_veth_name: "sand0001" });
  it.put(7);
  for (const n of [5, 6, 7]) it.seen(n);
  assert.deepEqual(it.requests.map(({ mac }) => mac), [mac(5), mac(7)]);
  it.requests[0]?.answer.resolve({ isThere: true, why: "answers ARP at tap0 on h2" });
  it.requests[1]?.answer.reject(new Error("the agent of h2 does not say whether it is there"));
  await settled();
  for (const n of [5, 6, 7]) it.seen(n);
  assert.equal(it.requests.length, 2);
  assert.deepEqual(it.arrived, []);
  assert.deepEqual(it.counts, { refused: 3 });
  const [there, container, silent] = it.moves.refused.toSorted();
  assert.match(
    there ?? "",
    /is not taken in: 10\.0\.0\.5 of tap0 on h2 has the MAC, and answers ARP at tap0 on h2$/,
  );
  assert.match(
    container ?? "",
    /10\.0\.0\.6 of sand0001 on h2 has the MAC, which is no machine behind a device$/,
  );
  assert.match(silent ?? "", /the agent of h2 does not say whether it is there$/);
  assert.equal(it.lines.filter((line) => line.includes("is not taken in")).length, 3);
  it.clock.now += 500;
  for (const n of [5, 6, 7]) it.seen(n);
  assert.deepEqual(it.requests.slice(2).map(({ mac }) => mac), [mac(5), mac(7)]);
});

Deno.test("a machine that its port names is taken in without a question, and no port has many looked for at a time", async () => {
  const it = setUp();
  for (let n = 2; n < 40; n++) it.put(n);
  it.named.add(mac(2));
  it.seen(2);
  await settled();
  assert.deepEqual(it.arrived, [`${mac(2)} tap1 true`]);
  for (let n = 3; n < 40; n++) it.seen(n);
  assert.equal(it.requests.length, 4);
  for (const port of ["tap2", "tap3", "tap4", "tap5", "tap6"]) for (let n = 3; n < 40; n++) it.seen(n, port);
  assert.equal(it.requests.length, 16);
  for (const { answer } of it.requests) answer.resolve({ isThere: false, why: "" });
  await settled();
});
