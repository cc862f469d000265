/** The check whether a process may create namespaces and links. */
import assert from "node:assert/strict";
import { type Request } from "../../ffi/netlink.ts";
import { encodeMessage, NLM_F_CREATE, text } from "../../ffi/netlink_message.ts";
import { missingForLinks } from "../../ffi/network_check.ts";
import { run } from "../lab/host.ts";

/** What a process without a capability is told. */
async function without(capability: string): Promise<string> {
  const script = `import { missingForLinks } from "${new URL("../../ffi/network_check.ts", import.meta.url)}";
console.log(await missingForLinks());`;
  const deno = [Deno.execPath(), "eval", "--cached-only", script];
  const dropped = ["setpriv", "--bounding-set", `-${capability}`, "--inh-caps", `-${capability}`, ...deno];
  return (await run(dropped)).stdout.trim();
}

Deno.test("nothing is missing where the other tests run", async () => {
  assert.equal(await missingForLinks(), undefined);
});

Deno.test("missing capabilities are said in a sentence each", async () => {
  assert.equal(
    await without("net_admin"),
    "this process may not change network links: run it as root, or with the capability CAP_NET_ADMIN",
  );
  assert.equal(
    await without("sys_admin"),
    "this process may not make network namespaces: run it as root, or with the capability CAP_SYS_ADMIN",
  );
});

Deno.test("a kind of link that the kernel does not have is named", async () => {
  const attributes = [[3, text("x")], [18, [[1, text("nosuchkind")]]]] as const;
  const request: Request = {
    what: "try",
    message: encodeMessage(16, NLM_F_CREATE, new Uint8Array(16), attributes),
  };
  assert.equal(
    await missingForLinks({ nosuchkind: request }),
    "this kernel has no nosuchkind links: load its module (modprobe nosuchkind), or use a kernel that has it",
  );
});
