import assert from "node:assert/strict";
import { isInterfaceName } from "./interface_name.ts";

Deno.test("isInterfaceName() takes what the kernel takes: at most 15 bytes and nothing that a path could hide in", () => {
  for (const name of ["eth0", "sand00ff", "a", "123456789012345", "é1234567890123"]) {
    assert.ok(isInterfaceName(name), name);
  }
  for (
    const name of [
      "",
      ".",
      "..",
      "../lo",
      "a/b",
      "a b",
      "a:b",
      "a\0",
      "a\x1b",
      "1234567890123456",
      "é".repeat(8),
    ]
  ) {
    assert.ok(!isInterfaceName(name), name);
  }
});
