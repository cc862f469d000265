import assert from "node:assert/strict";
import { InvalidArgumentError } from "commander";
import { hostOf, portOf } from "../../services/common/host_port.ts";
import * as read from "./values.ts";

Deno.test("values that are none are refused with the value and what would be right", () => {
  const wrong: [read: (text: string) => unknown, texts: string[]][] = [
    [read.duration, ["", "5", "-5s", "5 s"]],
    [read.apiUrl, [
      "",
      "host:9999",
      "ftp://host",
      "http://",
      "http://me:x@host",
      "http://host/?a",
      "http://host/#a",
    ]],
    [read.id, ["", " ", "a b", "a/b", "a?b", "a#b", "..\n"]],
    [read.ip, ["", "host", "10.0.0", "10.0.0.1/24", "010.0.0.1"]],
    [read.port, ["", "0", "65536", "-1", "1e3", "http", "123456", " 80", "08"]],
    [read.path, ["", "a", "./a"]],
    [read.method, ["", "G ET", "GET\r\n", "GÉT"]],
    [read.header, ["", "Accept", ": x", "A b: c", "A: b\r\nC: d", "A: \0"]],
    [read.insideUrl, ["", "10.0.0.1", "http://host/", "ftp://10.0.0.1", "http://10.0.0.1.example/"]],
  ];
  for (const [parse, texts] of wrong) {
    for (const text of texts) {
      const refused = (error: unknown) =>
        error instanceof InvalidArgumentError && error.message.startsWith(`"${text}" is not `);
      assert.throws(() => parse(text), refused, `${parse.name}(${JSON.stringify(text)})`);
    }
  }
});

Deno.test("port() reads numbers as Go writes them", () => {
  assert.deepEqual(["80", "0x50", "8_080", "0o120", "0120"].map(read.port), [80, 80, 8080, 80, 80]);
});

Deno.test("header() keeps the values of a name in their order", () => {
  const headers = ["Accept: a", "X: 1", "accept:b", "Accept:  c "].reduce<read.HeaderFields>(
    (before, text) => read.header(text, before),
    {},
  );
  assert.deepEqual(headers, { accept: ["a", "b", "c"], x: "1" });
  assert.deepEqual(read.header("X:"), { x: "" });
});

Deno.test("a URL tells its host and port, also those that it leaves out", () => {
  const at = (text: string) => [hostOf(read.insideUrl(text)), portOf(read.insideUrl(text))];
  assert.deepEqual(at("http://10.0.0.2"), ["10.0.0.2", 80]);
  assert.deepEqual(at("https://10.0.0.2/a"), ["10.0.0.2", 443]);
  assert.deepEqual(at("HTTP://[fd00::1]:8080/"), ["fd00::1", 8080]);
});
