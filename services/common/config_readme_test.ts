import assert from "node:assert/strict";
import { agentVariables, variables } from "./config_schema.ts";

Deno.test("the README's table has every environment variable with its key, and no other", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const rows = [...readme.matchAll(/^\| ((?:`[A-Z_]+`(?:, )?)+) *\| `([\w.-]+)`/gm)].flatMap((
    [, names, key],
  ) => [...(names ?? "").matchAll(/\w+/g)].map((name) => `${name} ${key}`));
  const known = [...variables, ...agentVariables].map(({ name, path }) => `${name} ${path.join(".")}`);
  assert.deepEqual(rows.sort(), known.sort());
});
