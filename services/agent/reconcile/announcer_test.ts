import assert from "node:assert/strict";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { Announcer } from "./announcer.ts";

const endpoint = (address: number, mac: number, active = true) =>
  ({ active, hot: { address, mac, vtep: 1 } }) as unknown as OverlayEndpoint;

function setUp() {
  const told: [number, number][][] = [], macs = new Map<number, number>();
  const announcer = new Announcer((pairs) => told.push([...pairs]));
  const notice = (before: OverlayEndpoint | undefined, after: OverlayEndpoint | undefined) => {
    if (before) macs.delete(before.hot.address);
    if (after?.active) macs.set(after.hot.address, after.hot.mac);
    announcer.notice([{ before, after }], (address) => macs.get(address));
  };
  const settled = async (count: number) => {
    for (let i = 0; i < 1000 && told.flat().length < count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return told.flat();
  };
  return { announcer, notice, settled, told };
}

Deno.test("an address that gets another MAC is announced, also when no endpoint had it in between, and no other is", async () => {
  const { announcer, notice, settled } = setUp();
  notice(undefined, endpoint(1, 10));
  notice(endpoint(1, 10), undefined);
  notice(undefined, endpoint(1, 11));
  notice(endpoint(1, 11), endpoint(1, 11));
  notice(undefined, endpoint(2, 20));
  notice(endpoint(2, 20), endpoint(2, 20, false));
  notice(endpoint(2, 20, false), endpoint(2, 20));
  notice(endpoint(2, 20), endpoint(2, 21));
  notice(undefined, endpoint(3, 30));
  assert.deepEqual(await settled(2), [[1, 11], [2, 21]]);
  announcer.close();
  announcer.announce(4, 40);
  assert.equal((await settled(2)).length, 2);
});

Deno.test("many addresses are told of a few at a time, each as it is by then", async () => {
  const { announcer, settled, told } = setUp();
  for (let mac = 0; mac < 2; mac++) {
    for (let address = 0; address < 100; address++) announcer.announce(address, mac);
  }
  assert.deepEqual((await settled(100)).map(([, mac]) => mac), Array(100).fill(1));
  assert.deepEqual(told.map(({ length }) => length), [32, 32, 32, 4]);
  announcer.close();
});
