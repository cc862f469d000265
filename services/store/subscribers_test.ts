import assert from "node:assert/strict";
import { Subscribers } from "./subscribers.ts";
import type { Change } from "./types.ts";

function change(key: string): Change<number> {
  return { key, before: undefined, after: undefined, revision: 1 };
}

Deno.test("Subscribers hear of everything in one order, also when one of them causes more", () => {
  const failures: unknown[] = [], told: string[] = [];
  const subscribers = new Subscribers<number>((error) => failures.push(error));
  subscribers.add(([first]) => {
    told.push(`1 ${first?.key}`);
    if (first?.key === "/a") subscribers.notify([change("/b")]);
  });
  const stop = subscribers.add(([first]) => {
    told.push(`2 ${first?.key}`);
    throw new Error("not mine");
  });
  subscribers.notify([change("/a")]);
  subscribers.notify([]);
  stop();
  subscribers.notify([change("/c")]);
  assert.deepEqual(told, ["1 /a", "2 /a", "1 /b", "2 /b", "1 /c"]);
  assert.equal(failures.length, 2);
});
