import assert from "node:assert/strict";
import { mayHave } from "./spaces.ts";

Deno.test("a record has a text as it is, and a MAC or a part of one in any of its spellings", () => {
  const record = 'e1 ["52-54-00-ab-cd-ef","web","320a669f-e465-4806-ab46-f2e6620c4311"]';
  for (
    const text of [
      "web",
      "52-54-00-ab-cd-ef",
      "52:54:00:ab:cd:ef",
      "525400abcdef",
      "00:ab",
      "0ab",
      ":ab",
      ":",
      "e1",
      "WEB",
      "52-54-00-AB-CD-EF",
    ]
  ) {
    assert.equal(mayHave(text).test(record), true, text);
  }
  assert.equal(mayHave("320a669f-e465-4806-ab46-f2e6620c4311").test(record), true);
  for (const text of ["52:54:01", "wob", "w.b", "320a669f-e465-4806-ab46-f2e6620c4312"]) {
    assert.equal(mayHave(text).test(record), false, text);
  }
});
