/** Programs that tests run are the system's, however the tests were started. */
import assert from "node:assert/strict";
import { systemPath } from "./system_path.ts";

Deno.test("programs of npm packages are not found before the system's", async () => {
  assert.equal(
    systemPath("/a/node_modules/.bin:/usr/local/bin:node_modules/.bin/:/usr/bin:/b/node_modules/.bin"),
    "/usr/local/bin:/usr/bin",
  );
  assert.equal(systemPath("/opt/node_modules/.bin2:/usr/bin"), "/opt/node_modules/.bin2:/usr/bin");

  // As `./strand test` does it: a task of deno.json, which runs main.ts.
  const root = new URL("../..", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", `${root}/deno.json`, "--eval", "echo $PATH"],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  }).output();
  const path = new TextDecoder().decode(stdout).trim();
  assert.match(
    path,
    /node_modules\/\.bin/,
    "deno task puts nothing first any more: systemPath has no purpose then",
  );
  assert.equal(systemPath(path), "/usr/sbin:/usr/bin:/sbin:/bin");
});
