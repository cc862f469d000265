import assert from "node:assert/strict";
import { closest } from "./closest.ts";

Deno.test("closest() finds the typing slip and nothing far-fetched", () => {
  const commands = ["demo", "test", "status", "dnsd", "dhcpd"];
  assert.equal(closest("staus", commands), "status");
  assert.equal(closest("dmeo", commands), undefined);
  assert.equal(closest("dem", commands), "demo");
  assert.equal(closest("banana", commands), undefined);
});
