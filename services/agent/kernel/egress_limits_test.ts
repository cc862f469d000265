import assert from "node:assert/strict";
import { connectionLimits } from "./egress_limits.ts";

Deno.test("a network has a sixteenth of the host's connections, a quarter of a small host's, and a machine a quarter of these", () => {
  const of = (...args: Parameters<typeof connectionLimits>) => {
    const { network, machine } = connectionLimits(...args);
    return [network, machine];
  };
  assert.deepEqual(of(undefined, 1 << 20), [65_536, 16_384]);
  assert.deepEqual(of(undefined, 1 << 18), [16_384, 4096]);
  assert.deepEqual(of(undefined, 1 << 16), [16_384, 4096]);
  assert.deepEqual(of(undefined, 1 << 14), [4096, 1024]);
  assert.deepEqual(of(64, 1 << 18), [64, 16]);
});
