/** Sizes of ICMP echo requests. */
import assert from "node:assert/strict";
import { EchoSocket, largestEcho, smallestEcho } from "../../ffi/icmp.ts";
import { LARGEST_PROBE } from "../../services/overlay/state.ts";
import { TestNamespace } from "./namespaces.ts";

Deno.test("an echo request is of any size that fits its buffer, and of no other", async () => {
  using namespace = new TestNamespace();
  await namespace.ip("link", "set", "lo", "up");
  using socket = new EchoSocket(namespace.fd);
  const loopback = 0x7f000001;
  for (const size of [smallestEcho - 1, largestEcho + 1, 65_486, NaN]) {
    assert.throws(() => socket.send(loopback, 1, size), RangeError, `${size}`);
  }
  for (const size of [smallestEcho, largestEcho]) assert.equal(socket.send(loopback, 1, size), true);
  assert.equal(largestEcho, LARGEST_PROBE);
});
