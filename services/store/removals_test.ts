import assert from "node:assert/strict";
import { Removals } from "./removals.ts";

Deno.test("Removals knows the last 4,096, and says of older ones that they may have been", () => {
  const removals = new Removals();
  removals.note("/again", 1);
  removals.note("/once", 2);
  for (let i = 3; i <= 4_097; i++) removals.note(i === 100 ? "/again" : `/${i}`, i);
  assert(removals.since("/again", 99));
  assert(!removals.since("/again", 100));
  assert(removals.since("/once", 1));
  assert(!removals.since("/never", 2));
  removals.note("/more", 4_098);
  assert(removals.since("/never", 1), "what was removed at 2 is forgotten");
  assert(!removals.since("/never", 2));
  for (let i = 4_099; i < 20_000; i++) removals.note(`/${i}`, i);
  assert(removals.since("/never", 15_000));
  assert(!removals.since("/never", 19_999 - 4_096));
});
