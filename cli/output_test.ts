import assert from "node:assert/strict";
import { parse } from "yaml";
import { columns, jsonText, yamlText } from "./output.ts";

const evil = "a\x1b[2J\x9b31m\x7f\r\nb";

Deno.test("columns() spells control characters out, so that no cell draws or breaks a line", () => {
  assert.equal(columns([["x", evil], ["long", ""]]), "x    a\\x1b[2J\\x9b31m\\x7f\\x0d\\x0ab\nlong\n");
  assert.equal(columns([["a", "b"]], "  "), "a  b\n");
});

Deno.test("yamlText() quotes what readers of YAML 1.1 take for something else, and every MAC", async () => {
  const value = {
    on: "no",
    time: "12:34:56",
    macs: ["00:00:11:11:00:01", "0a:00:00:00:00:0f"],
    name: "mini",
  };
  const text = await yamlText(value);
  assert.equal(
    text,
    `"on": "no"
time: "12:34:56"
macs:
  - "00:00:11:11:00:01"
  - "0a:00:00:00:00:0f"
name: mini
`,
  );
  assert.deepEqual(parse(text, { version: "1.1" }), value);
});

Deno.test("jsonText() and yamlText() escape control characters, and say what they said", async () => {
  const value = { list: [{ name: evil, [evil]: "plain" }], text: "10.0.0.0/24", yes: "true" };
  for (const text of [jsonText(value), await yamlText(value)]) {
    assert.doesNotMatch(text.replaceAll("\n", ""), /\p{Cc}/u);
  }
  assert.deepEqual(JSON.parse(jsonText(value)), value);
  assert.deepEqual(parse(await yamlText(value)), value);
  assert.equal(await yamlText({ name: "mini", list: ["a"] }), "name: mini\nlist:\n  - a\n");
});
