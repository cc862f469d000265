import assert from "node:assert/strict";
import type { Followed } from "./health.ts";
import { followedTogether } from "./followed_together.ts";

const state = (given: Partial<Followed["state"]>): Followed => ({
  state: {
    inSync: true,
    revision: 1,
    outSince: undefined,
    outReason: undefined,
    quarantined: new Map(),
    missed: 0,
    relists: 1,
    ...given,
  },
});

Deno.test("mirrors together are as far as the last, and out of sync since the first of them is", () => {
  const first = state({ quarantined: new Map([["/a", "no JSON"]]) });
  const { state: fine } = followedTogether(first, state({ revision: 12, missed: 2 }));
  assert.deepEqual([fine.inSync, fine.revision, fine.outSince, fine.missed, fine.relists], [
    true,
    12,
    undefined,
    2,
    2,
  ]);
  assert.deepEqual([...fine.quarantined], [["/a", "no JSON"]]);
  const away = { inSync: false, outReason: "no answer" };
  const both = followedTogether(
    state({ ...away, outSince: 20 }),
    state({ ...away, revision: 12, outSince: 10 }),
  );
  assert.deepEqual([both.state.inSync, both.state.outSince, both.state.outReason, both.state.revision], [
    false,
    10,
    "no answer",
    12,
  ]);
  assert.equal(followedTogether(first, state({ ...away, outSince: 5 })).state.inSync, false);
});
