import assert from "node:assert/strict";
import { Refusal } from "./refusal.ts";

Deno.test("Refusal repeats a long value only as far as it helps", () => {
  const { message } = new Refusal(
    "invalid",
    `mac: "${"x".repeat(60_000)}" is not a MAC, like 02:00:00:00:00:01`,
  );
  assert.equal(message, `mac: "${"x".repeat(80)}…" is not a MAC, like 02:00:00:00:00:01`);
  const unquoted = new Refusal("invalid", `${"y".repeat(60_000)} is not it, "z" is`).message;
  assert.ok(unquoted.length <= 1000, `${unquoted.length}`);
  assert.match(unquoted, /^y+…y* is not it, "z" is$/);
  const quotes = new Refusal("invalid", `name: "${'"'.repeat(60_000)}" is not a label`).message;
  assert.ok(quotes.length <= 1000 && quotes.endsWith('" is not a label'));
  const whole = `network "${"n".repeat(80)}": as it is`;
  assert.equal(new Refusal("invalid", whole).message, whole);
});

Deno.test("Refusal is one line, and nothing in it draws on a terminal", () => {
  assert.equal(
    new Refusal("invalid", 'name: "a\n\x1b[2Jb" is no label').message,
    'name: "a\\x0a\\x1b[2Jb" is no label',
  );
});
