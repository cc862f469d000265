import assert from "node:assert/strict";
import { printable, Refusal } from "./refusal.ts";

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

Deno.test("printable() spells out what draws on a terminal, breaks a line or turns the text's direction, and nothing else", () => {
  assert.equal(printable("a\x1b[31mb\x07\n"), "a\\x1b[31mb\\x07\\x0a");
  assert.equal(printable("\u009b31m"), "\\x9b31m");
  assert.equal(printable("web\u202egnp.exe\u2066\u2028x"), "web\\u202egnp.exe\\u2066\\u2028x");
  assert.equal(printable("Zürich 東京 👩‍🔧"), "Zürich 東京 👩‍🔧");
});
