import assert from "node:assert/strict";
import { Holds } from "./holds.ts";

/** A mirror that tells what it is asked to do; it answers when a test says so. */
function lab() {
  const calls: string[] = [];
  let answer = Promise.resolve();
  const holds = new Holds({
    follow: (prefixes) => {
      calls.push(`+ ${prefixes.join(" ")}`);
      return answer;
    },
    unfollow: (prefixes) => void calls.push(`- ${prefixes.join(" ")}`),
  }, (id) => [`/x/${id}/`, `/y/${id}`]);
  return { calls, holds, answerWith: (promise: Promise<void>) => answer = promise };
}

Deno.test("Holds follows for the first who holds something and stops after the last", async () => {
  const { calls, holds } = lab();
  const first = await holds.hold(["A"]), second = await holds.hold(["A", "B", "B"]);
  assert.deepEqual(calls, ["+ /x/A/ /y/A", "+ /x/B/ /y/B"]);
  first();
  first();
  second();
  assert.deepEqual(calls.slice(2), ["- /x/A/ /y/A /x/B/ /y/B"]);
  await holds.hold(["A"]);
  assert.equal(calls.at(-1), "+ /x/A/ /y/A");
});

Deno.test("Holds waits for a follow that is running already, and a refusal leaves nothing held", async () => {
  const { calls, holds, answerWith } = lab();
  const answer = Promise.withResolvers<void>();
  answerWith(answer.promise);
  const both = Promise.allSettled([holds.hold(["A"]), holds.hold(["A"])]);
  answer.reject(new Error("away"));
  assert.deepEqual((await both).map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual(calls, ["+ /x/A/ /y/A", "- /x/A/ /y/A"]);
  answerWith(Promise.resolve());
  await holds.hold(["A"]);
  assert.equal(calls.at(-1), "+ /x/A/ /y/A");
});
