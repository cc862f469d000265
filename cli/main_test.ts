import assert from "node:assert/strict";
import { withName } from "./main.ts";

Deno.test("withName() takes a link's name for the command", () => {
  const none = new Map();
  assert.deepEqual(withName("/usr/bin/nex", ["get", "networks"], none), ["nex", "get", "networks"]);
  assert.deepEqual(withName("nex-dhcpd", [], none), ["nex-dhcpd"]);
  assert.deepEqual(withName("/opt/strand-linux-x64", ["status"], none), ["status"]);
  assert.deepEqual(withName("", ["nexd"], none), ["nexd"]);
});

Deno.test("withName() takes a call by a container runtime for cni", () => {
  const env = new Map([["CNI_COMMAND", "ADD"]]);
  assert.deepEqual(withName("/opt/cni/bin/strand", [], env), ["cni"]);
  assert.deepEqual(withName("/opt/cni/bin/strand", ["status"], env), ["status"]);
});
