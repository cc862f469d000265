import assert from "node:assert/strict";
import { tryParseGoInteger } from "./go_number.ts";

Deno.test("tryParseGoInteger() reads what Go's strconv.ParseInt reads with base 0, and refuses what that refuses", () => {
  const read: Record<string, number> = {
    "0": 0,
    "-0": 0,
    "7": 7,
    "+7": 7,
    "-7": -7,
    "999_999": 999_999,
    "0x10": 16,
    "0X_fF": 255,
    "0o17": 15,
    "017": 15,
    "0_17": 15,
    "00": 0,
    "0b1": 1,
    "-0B1_0": -2,
    "16777216": 16777216,
  };
  for (const [text, value] of Object.entries(read)) assert.equal(tryParseGoInteger(text), value, text);
  const refused = [
    "",
    " 7",
    "7 ",
    "7\n",
    "\t7",
    "_7",
    "7_",
    "7__7",
    "0x",
    "0x_",
    "_0x1",
    "0x1_",
    "08",
    "0o8",
    "0b2",
  ];
  for (const text of [...refused, "1e3", "1.0", "--7", "+", "ten", "0xg", "٧", "1,000", "1 000"]) {
    assert.equal(tryParseGoInteger(text), undefined, JSON.stringify(text));
  }
});
