import assert from "node:assert/strict";
import { AGENT_SOCKET } from "../../common/config_agent.ts";
import { StoppedPluginFile } from "./stopped_plugin.ts";

Deno.test("an engine finds an address that cannot be connected to while the agent is stopped, and nothing otherwise", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const spec = `${directory}/sand.spec`,
      file = new StoppedPluginFile(`${directory}/sand.json`, `${directory}/run`);
    for (let round = 0; round < 2; round++) {
      await file.end();
      assert.equal(await Deno.readTextFile(spec).catch((error) => error.name), "NotFound");
      await file.begin();
      assert.match(await Deno.readTextFile(spec), /^unix:\/\/\/.{108,}\n$/);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("systemd leaves the word where it is when the agent is stopped", async () => {
  const unit = await Deno.readTextFile(
    new URL("../../../deploy/systemd/strand-agent.service", import.meta.url),
  );
  const [, name] = /^RuntimeDirectory=(.*)$/m.exec(unit) ?? [];
  assert.equal(AGENT_SOCKET, `/run/${name}/agent.sock`);
  assert.match(unit, /^RuntimeDirectoryPreserve=yes$/m);
});
