import assert from "node:assert/strict";
import { commands } from "./commands.ts";
import { main, withName } from "./main.ts";

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

Deno.test("withName() takes a call in netavark's folder of plugins for netavark", () => {
  const none = new Map();
  for (const folder of ["/usr/lib", "/usr/local/lib", "/usr/libexec"]) {
    assert.deepEqual(withName(`${folder}/netavark/strand`, ["setup", "/n"], none), [
      "netavark",
      "setup",
      "/n",
    ]);
  }
  assert.deepEqual(withName("/src/netavark/strand", ["status"], none), ["status"]);
});

Deno.test("every command says its version when asked with --version, and does nothing else", async () => {
  const printed: string[] = [], log = console.log;
  console.log = (line: string) => void printed.push(line);
  try {
    for (const { name, ownHelp } of commands) {
      if (!ownHelp) assert.equal(await main([name, "--version"]), 0, name);
    }
    assert.equal(await main(["sand-agent", "-V"]), 0);
  } finally {
    console.log = log;
  }
  const names = commands.flatMap(({ name, ownHelp }) => ownHelp ? [] : name);
  assert.deepEqual(printed.map((line) => line.replace(/ \d+\.\d+\.\d+$/, "")), [...names, "agent"]);
});
