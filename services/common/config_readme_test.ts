import assert from "node:assert/strict";
import { variables } from "./config_schema.ts";

Deno.test("the README's table has every environment variable with its key, and no other", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const rows = [...readme.matchAll(/^\| `(STRAND_\w+)` *\| `([\w.-]+)`/gm)].map(([, name, key]) =>
    `${name} ${key}`
  );
  assert.deepEqual(rows.sort(), variables.map(({ name, path }) => `${name} ${path.join(".")}`).sort());
});
