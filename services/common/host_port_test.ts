import assert from "node:assert/strict";
import { formatHostPort, isLoopback, parseHostPort, tryParseHostPort } from "./host_port.ts";

Deno.test("tryParseHostPort() reads addresses, names, brackets and the all-addresses form", () => {
  assert.deepEqual(tryParseHostPort("10.0.0.1:53"), { host: "10.0.0.1", port: 53 });
  assert.deepEqual(tryParseHostPort("[::1]:53"), { host: "::1", port: 53 });
  assert.deepEqual(tryParseHostPort("db:2379"), { host: "db", port: 2379 });
  assert.deepEqual(tryParseHostPort(":6000"), { host: "0.0.0.0", port: 6000 });
});

Deno.test("tryParseHostPort() takes the default port where there is one", () => {
  assert.deepEqual(tryParseHostPort("db", 2379), { host: "db", port: 2379 });
  assert.deepEqual(tryParseHostPort("2001:db8::1", 53), { host: "2001:db8::1", port: 53 });
  assert.equal(tryParseHostPort("db"), undefined);
});

Deno.test("tryParseHostPort() takes nothing else", () => {
  for (
    const text of [
      "",
      "a b:1",
      "10.0.0.1:65536",
      "10.0.0.1:",
      "[10.0.0.1]:53",
      "http://a:1",
      "::1:53x",
      "999.1.1.1:1",
      "1.1.1.1.1",
      "10.0.1:53",
      "6000",
    ]
  ) {
    assert.equal(tryParseHostPort(text, 53), undefined, text);
  }
});

Deno.test("parseHostPort() names the field and the value", () => {
  assert.throws(
    () => parseHostPort("nowhere", "nexd.listen"),
    /nexd\.listen: "nowhere" is not an address with a port/,
  );
});

Deno.test("formatHostPort() and isLoopback()", () => {
  assert.equal(formatHostPort({ host: "::1", port: 53 }), "[::1]:53");
  assert.equal(isLoopback("127.0.0.53"), true);
  assert.equal(isLoopback("::1"), true);
  assert.equal(isLoopback("0.0.0.0"), false);
  assert.equal(isLoopback("::"), false);
});
