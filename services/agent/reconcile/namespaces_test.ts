import assert from "node:assert/strict";
import { networksIn } from "./namespaces.ts";

Deno.test("networksIn() knows this agent's namespaces from those of others, and makes the directory", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const netnsPath = `${directory}/netns`;
    assert.deepEqual(networksIn({ netnsPath, netnsPrefix: "sc-ns-" }), []);
    const id = "320a669f-e465-4806-ab46-f2e6620c4311";
    for (const name of [`sc-ns-${id}`, `sc-ns-2-${id}`, `sc-ns-${id}.old`, "sc-ns-1", "c1"]) {
      await Deno.writeTextFile(`${netnsPath}/${name}`, "");
    }
    assert.deepEqual(networksIn({ netnsPath, netnsPrefix: "sc-ns-" }), [id]);
    assert.deepEqual(networksIn({ netnsPath, netnsPrefix: "sc-ns-2-" }), [id]);
    assert.throws(() => networksIn({ netnsPath: `${netnsPath}/c1`, netnsPrefix: "" }), {
      code: "invalid",
      message: /^NETNS_PATH: .*c1 cannot be used/,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
