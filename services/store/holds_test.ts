import assert from "node:assert/strict";
import { Holds } from "./holds.ts";

/** A mirror that tells what it is asked to do; it answers when a test says so. */
function lab() {
  const asked: string[] = [];
  let answer = Promise.resolve();
  const holds = new Holds({
    follow: (prefixes) => {
      asked.push(`+ ${prefixes.join(" ")}`);
      return answer;
    },
    unfollow: (prefixes) => void asked.push(`- ${prefixes.join(" ")}`),
  }, (id) => [`/x/${id}/`, `/y/${id}`]);
  return { asked, holds, answerWith: (promise: Promise<void>) => answer = promise };
}

Deno.test("Holds follows for the first who holds something and stops after the last", async () => {
  const { asked, holds } = lab();
  const first = await holds.hold(["A"]), second = await holds.hold(["A", "B", "B"]);
  assert.deepEqual(asked, ["+ /x/A/ /y/A", "+ /x/B/ /y/B"]);
  first();
  first();
  second();
  assert.deepEqual(asked.slice(2), ["- /x/A/ /y/A /x/B/ /y/B"]);
  await holds.hold(["A"]);
  assert.equal(asked.at(-1), "+ /x/A/ /y/A");
});

Deno.test("Holds waits for a follow that is running already, and a refusal leaves nothing held", async () => {
  const { asked, holds, answerWith } = lab();
  const answer = Promise.withResolvers<void>();
  answerWith(answer.promise);
  const both = Promise.allSettled([holds.hold(["A"]), holds.hold(["A"])]);
  answer.reject(new Error("away"));
  assert.deepEqual((await both).map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual(asked, ["+ /x/A/ /y/A", "- /x/A/ /y/A"]);
  answerWith(Promise.resolve());
  await holds.hold(["A"]);
  assert.equal(asked.at(-1), "+ /x/A/ /y/A");
});
