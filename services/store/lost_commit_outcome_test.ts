import assert from "node:assert/strict";
import { outcomeOfLostCommit } from "./lost_commit_outcome.ts";
import type { Plan, StoreOp } from "./types.ts";

const put = (key: string): StoreOp => ({ put: key, value: "x" }),
  remove = (key: string): StoreOp => ({ remove: key });

type Case = [
  ops: StoreOp[],
  before: Record<string, number>,
  now: Record<string, number>,
  absent: boolean,
  fate: string,
];

for (
  const [ops, before, now, absent, fate] of [
    [[put("a")], { a: 0 }, { a: 9 }, false, "applied"],
    [[put("a")], { a: 0 }, { a: 0 }, true, "not-applied"],
    [[put("a")], { a: 0 }, { a: 0 }, false, "unclear"],
    [[put("a")], { a: 5 }, { a: 5 }, false, "not-applied"],
    [[put("a")], { a: 5 }, { a: 0 }, false, "unclear"],
    [[put("a"), put("b")], { a: 5 }, { a: 9, b: 9 }, false, "applied"],
    [[put("a"), put("b")], { a: 5 }, { a: 9, b: 8 }, false, "unclear"],
    [[put("a"), put("b")], { a: 5 }, { a: 9 }, true, "not-applied"],
    [[put("a"), remove("b")], { b: 5 }, { a: 9 }, false, "applied"],
    [[put("a"), remove("b")], { b: 5 }, { a: 9, b: 5 }, false, "not-applied"],
    [[put("a"), remove("b")], { b: 5 }, { a: 9, b: 11 }, false, "unclear"],
    [[remove("a")], { a: 5 }, {}, false, "applied"],
    [[remove("a")], { a: 5 }, { a: 7 }, false, "unclear"],
  ] as Case[]
) {
  const what = ops.map((op) => "put" in op ? `+${op.put}` : `-${op.remove}`).join(" ");
  const states = `${JSON.stringify(before)}, now ${JSON.stringify(now)}`;
  Deno.test(`fateOf(${what}) of ${states}, ${absent ? "" : "not "}absent all the while: ${fate}`, () => {
    const plan: Plan = { guards: [], ops };
    const map = (state: Record<string, number>) => new Map(Object.entries(state));
    assert.equal(outcomeOfLostCommit(plan, map(before), map(now), () => absent), fate);
  });
}
