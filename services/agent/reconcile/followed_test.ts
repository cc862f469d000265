import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { followed } from "./followed.ts";

Deno.test("followed() tells why the kernel has not followed a deletion, and does not wait longer than it may", async () => {
  await followed("e1", Promise.resolve(), 10_000);
  await followed("e1", new Promise(() => {}), 1);
  await assert.rejects(followed("e1", Promise.reject(new Error("no buffer space")), 10_000), (error) => {
    assert.ok(error instanceof Refusal && error.code === "unavailable");
    assert.match(
      error.message,
      /endpoint e1 is in etcd and not applied on this host yet.*: no buffer space$/,
    );
    return true;
  });
});
