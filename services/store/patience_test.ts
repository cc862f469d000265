import assert from "node:assert/strict";
import { Patience } from "./patience.ts";

Deno.test("an etcd that takes 2.5 s for each write is given up once, and never again while it stays that slow", () => {
  const patience = new Patience(2_000, 5_000);
  const late = Array.from({ length: 20 }, () => {
    if (patience.ms < 2_500) {
      patience.late();
      return true;
    }
    patience.took(2_500);
    return false;
  });
  assert.deepEqual(late.flatMap((was, i) => was ? [i] : []), [0]);
});

Deno.test("the time for a write goes back by and by once etcd is quick again, and stays within its limits", () => {
  const patience = new Patience(2_000, 5_000);
  for (let i = 0; i < 5; i++) patience.late();
  assert.equal(patience.ms, 5_000);
  patience.took(4_900);
  assert.equal(patience.ms, 5_000);
  patience.took(10);
  assert.equal(patience.ms, 3_750);
  for (let i = 0; i < 10; i++) patience.took(10);
  assert.equal(patience.ms, 2_000);
  assert.equal(new Patience(2_000, 1_000).ms, 1_000);
});
