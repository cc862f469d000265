import assert from "node:assert/strict";
import { Ip } from "../../common/ip.ts";
import { endpointRecord, lab, network } from "../../overlay/testing.ts";
import type { Context } from "../context.ts";
import { Registry } from "../../common/metrics.ts";
import { createCounters } from "../counters.ts";
import { VtepAdmission } from "./vteps.ts";

Deno.test("what a check finds missing since the agent has yet to write it is not another program's change", async () => {
  const it = lab(), counters = createCounters(new Registry()), warned: string[] = [];
  const context = {
    view: it.view,
    host: { hostname: "h1", ip: Ip.parse("192.0.2.1") },
    storeGuard: {},
    kernel: { containment: {} },
    counters,
    log: { warn: (text: string) => warned.push(text) },
  } as unknown as Context;
  const interfaces: ReadonlySet<string> = new Set();
  const underlay = { name: "eth0", interfaces, check: () => Promise.resolve() };
  const vteps = new VtepAdmission(() => context, { underlay, notifications: { add: () => assert.fail() } });
  // The kernel: what is in the sets, and a write that can be held up.
  let elements: ReadonlySet<string> | undefined, isHeld = false;
  const held = Promise.withResolvers<void>();
  Object.assign(vteps.table, {
    watch: () => undefined,
    read: () => Promise.resolve(elements && { isSound: true, elements }),
    make: (_: unknown, wanted: ReadonlySet<string>) => Promise.resolve(elements = new Set(wanted)),
    change: async (add: ReadonlySet<string>, remove: ReadonlySet<string>) => {
      if (isHeld) await held.promise;
      elements = elements?.union(add).difference(remove);
    },
  });
  const known = { id: network.id, unwanted: false, fault: undefined };
  const put = (last: number) =>
    it.putEndpoint(
      endpointRecord(`${last}`, {
        hostname: `h${last}`,
        host_ip: `192.0.2.${last}`,
        target_veth_ip: `10.0.0.${last}/24`,
      }),
    );
  it.put({ [it.keys.network(network.id)]: network });
  put(2);
  await vteps.widen(known);
  await vteps.start();

  // A check waits for a write; meanwhile another host comes.
  isHeld = true;
  put(3);
  const first = vteps.widen(known);
  await Promise.resolve();
  const check = vteps.check();
  put(4);
  const second = vteps.widen(known);
  held.resolve();
  await Promise.all([first, check, second]);
  assert.ok(elements?.has("host 192.0.2.4"));
  assert.deepEqual([counters.drifted, warned], [0, []]);

  elements = elements?.difference(new Set(["host 192.0.2.4"]));
  await vteps.check();
  assert.ok(elements?.has("host 192.0.2.4"));
  assert.equal(counters.drifted, 1);
});
