/** Setting sysctls, also where /proc/sys is read-only. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../lab/host.ts";
import { TestNamespace } from "./namespaces.ts";

const sysctl = fileURLToPath(new URL("../../ffi/sysctl.ts", import.meta.url));
const name = "net/ipv4/conf/lo/log_martians";

/** Sets it in a namespace, with /proc/sys as it is or read-only, and says what came of it. */
async function set(namespace: TestNamespace, code: string, before = "true"): Promise<string> {
  const script = `import { setSysctl } from ${JSON.stringify(sysctl)}; ${code}`;
  const shell = `${before} && exec "$0" eval --quiet "$1"`;
  const command = ["unshare", "--mount", "sh", "-c", shell, Deno.execPath(), script];
  const { stdout } = await run(["ip", "netns", "exec", namespace.name, ...command]);
  return stdout.trim();
}

async function value(namespace: TestNamespace): Promise<string> {
  return (await run(["ip", "netns", "exec", namespace.name, "cat", `/proc/sys/${name}`])).stdout.trim();
}

Deno.test("setSysctl() sets what is not so yet, also where /proc/sys is read-only, as in a container", async () => {
  using namespace = new TestNamespace();
  const once =
    `console.log(setSysctl("${name}", "1"), setSysctl("${name}", "1"), setSysctl("net/none", "1"));`;
  assert.equal(await set(namespace, once), "true true false");
  assert.equal(await value(namespace), "1");
  const readOnly = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys";
  const refused =
    `try { Deno.writeTextFileSync("/proc/sys/${name}", "0"); } catch (e) { console.log(e.message); }`;
  assert.match(await set(namespace, refused, readOnly), /read-only/i);
  assert.equal(await set(namespace, once.replaceAll('"1"', '"0"'), readOnly), "true true false");
  assert.equal(await value(namespace), "0");
});
