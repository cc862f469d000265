import assert from "node:assert/strict";
import { hasEnded, thisProcess } from "./machine.ts";

Deno.test("hasEnded() knows processes of this machine that have ended, and those from before its last boot", async () => {
  const own = thisProcess();
  assert.match(own.host, /^[0-9a-f]{16}$/);
  assert.equal(hasEnded(own), false);
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const running = { ...own, pid: child.pid };
  try {
    assert.equal(hasEnded(running), false);
    assert.equal(
      hasEnded({ ...running, up: own.up + 600 }),
      true,
      "it ran before the machine was rebooted",
    );
    assert.equal(hasEnded({ ...running, host: "another", up: own.up + 600 }), false);
    assert.equal(hasEnded({}), false);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  assert.equal(hasEnded(running), true);
});
