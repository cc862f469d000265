import assert from "node:assert/strict";
import { MESSAGES, PortLimits } from "./port_limits.ts";

Deno.test("a port may send a thousand messages at once and five hundred a second, whatever others send", () => {
  let now = 0;
  const limits = new PortLimits(() => now);
  const sent = (port: number, count: number) =>
    Array.from({ length: count }, () => limits.take("blue", port, MESSAGES)).filter(Boolean).length;
  assert.equal(sent(1, 3000), 1000);
  assert.equal(sent(2, 10), 10);
  now += 1000;
  assert.equal(sent(1, 3000), 500);
  now += 3_600_000;
  assert.equal(sent(1, 3000), 1000);
});

Deno.test("of thousands of ports those that were quiet longest are forgotten", () => {
  const limits = new PortLimits(() => 0), take = (port: number) => limits.take("blue", port, MESSAGES);
  for (let i = 0; i < 1000; i++) take(1);
  assert.equal(take(1), false);
  for (let port = 2; port < 10_000; port++) take(port);
  assert.equal(take(1), true);
});
