import assert from "node:assert/strict";
import { merge, pack, PlanBuilder } from "./plan_builder.ts";
import type { Plan } from "./types.ts";

/** A plan that guards and writes each of these keys. */
function writing(...keys: string[]): Plan {
  return {
    guards: keys.map((key) => ({ key, modRevision: 1 })),
    ops: keys.map((key) => ({ put: key, value: key })),
  };
}

Deno.test("of several guards on a key the first one counts, of several operations the last one", () => {
  const plan = new PlanBuilder()
    .guard({ key: "/a", modRevision: 1 }, { key: "/b", modRevision: 2 }, { key: "/a", modRevision: 3 })
    .unchanged("/p/", 5).nothingUnder("/p/")
    .put("/a", "old").remove("/b").put("/a", "new")
    .plan();
  assert.deepEqual(plan, {
    guards: [{ key: "/a", modRevision: 1 }, { key: "/b", modRevision: 2 }],
    prefixGuards: [{ prefix: "/p/", unchangedSince: 5 }],
    ops: [{ put: "/a", value: "new" }, { remove: "/b" }],
  });
});

Deno.test("an operation that is taken back leaves its guard", () => {
  const plan = new PlanBuilder().guard({ key: "/a", modRevision: 1 }).remove("/a").leave("/a").plan();
  assert.deepEqual(plan, { guards: [{ key: "/a", modRevision: 1 }], prefixGuards: [], ops: [] });
});

Deno.test("the room of a plan is that of its operations or of its guards, whichever are more", () => {
  const step = new PlanBuilder(), { room } = step;
  step.put("/a", "").put("/b", "").guard({ key: "/a", modRevision: 0 });
  assert.equal(step.room, room - 2);
  step.nothingUnder("/p/").nothingUnder("/q/");
  assert.equal(step.room, room - 3);
});

Deno.test("merged plans see each other's keys as the store has them, and write what the last one leaves", () => {
  const removal: Plan = {
    guards: [{ key: "/a", modRevision: 9 }],
    prefixGuards: [{ prefix: "/p/", unchangedSince: 3 }],
    ops: [{ remove: "/a" }],
  };
  assert.deepEqual(merge([writing("/a", "/b"), removal]), {
    guards: [{ key: "/a", modRevision: 1 }, { key: "/b", modRevision: 1 }],
    prefixGuards: [{ prefix: "/p/", unchangedSince: 3 }],
    ops: [{ remove: "/a" }, { put: "/b", value: "/b" }],
  });
});

Deno.test("plans are packed in order into transactions of at most so many guards and operations, and none is split", () => {
  const plans = [writing("/a", "/b"), writing("/c"), writing("/d", "/e"), writing("/f", "/g", "/h", "/i")];
  const keys = pack(plans, 3).map(({ ops }) => ops.map((op) => "put" in op && op.put));
  assert.deepEqual(keys, [["/a", "/b", "/c"], ["/d", "/e"], ["/f", "/g", "/h", "/i"]]);
  const guarding: Plan = { guards: [], prefixGuards: [{ prefix: "/p/", unchangedSince: 0 }], ops: [] };
  assert.equal(pack([writing("/a", "/b"), guarding, guarding], 3).length, 2);
  assert.deepEqual(pack([]), []);
});
