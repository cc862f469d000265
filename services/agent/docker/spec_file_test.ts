import assert from "node:assert/strict";
import { specOf, writeSpec } from "./spec_file.ts";

const at = { host: "host1", port: 9998 };

Deno.test("the spec says where the plugin is, and with HTTPS what to show it", () => {
  assert.deepEqual(JSON.parse(specOf({ at, tls: undefined })), { Name: "sand", Addr: "http://host1:9998" });
  const tls = { cert: "/c.pem", key: "/k.pem", ca: "/ca.pem" };
  assert.deepEqual(JSON.parse(specOf({ at, tls })), {
    Name: "sand",
    Addr: "https://host1:9998",
    TLSConfig: { InsecureSkipVerify: false, CAFile: "/ca.pem", CertFile: "/c.pem", KeyFile: "/k.pem" },
  });
});

Deno.test("writeSpec() makes the directory, replaces what is there and leaves nothing else", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/etc/docker/plugins/sand.json`;
    for (const port of [1, 2]) {
      await writeSpec(path, { at: { host: "::1", port }, tls: undefined });
      assert.equal(JSON.parse(await Deno.readTextFile(path)).Addr, `http://[::1]:${port}`);
    }
    const names = [...Deno.readDirSync(`${directory}/etc/docker/plugins`)].map(({ name }) => name);
    assert.deepEqual(names, ["sand.json"]);
    await Deno.writeTextFile(`${directory}/file`, "");
    await assert.rejects(writeSpec(`${directory}/file/sand.json`, { at, tls: undefined }), {
      name: "Refusal",
      message: /^agent\.docker\.spec: .*file\/sand\.json cannot be written: /,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
