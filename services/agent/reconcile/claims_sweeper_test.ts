import assert from "node:assert/strict";
import { BitSet } from "../../overlay/bit_set.ts";
import { endpointRecord, lab, network } from "../../overlay/testing.ts";
import { ClaimsSweeper } from "./claims_sweeper.ts";
import type { Context } from "../context.ts";

Deno.test("claims are looked at again only where something has changed since they were right", async () => {
  const it = lab(), held: string[] = [];
  const store = {
    mirror: it.store.mirror,
    committer: it.store,
    hold: (id: string) => {
      held.push(id);
      return Promise.resolve(() => {});
    },
  };
  const context = {
    ...{ view: it.view, store, storeGuard: { hold: undefined, assertNotHeld() {} } },
    log: { info() {}, warn: (message: string) => assert.fail(message) },
    counters: { swept: { inc() {} } },
  } as unknown as Context;
  it.put({ [it.keys.network(network.id)]: network });
  const key = it.keys.allocation(network.id);
  it.put({
    [key]: { address_range: network.ip_range, address_count: 256, bit_set: BitSet.empty(256).encode() },
  });
  const sweeper = new ClaimsSweeper(context, () => [network.id], 600_000);
  const sweep = async () => {
    held.length = 0;
    await sweeper.sweep();
    return held.length;
  };
  try {
    assert.equal(await sweep(), 1, "the first time");
    while (await sweep());
    const right = it.store.values.get(key)?.value;
    it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.9/24" }));
    assert.equal(await sweep(), 1, "an endpoint has come");
    assert.notEqual(it.store.values.get(key)?.value, right, "its address is claimed");
    while (await sweep());
    it.put({ [key]: JSON.parse(right ?? "") });
    assert.equal(await sweep(), 1, "another process has written the claims");
    assert.notEqual(it.store.values.get(key)?.value, right, "its address is claimed again");
  } finally {
    await sweeper.close();
  }
});
