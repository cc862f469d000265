/** What is generated from the two .proto files is what is committed. The generator is fetched where it is not cached. */
import assert from "node:assert/strict";
import { generate } from "../../proto/generator/generate.ts";

const gen = new URL("../../proto/gen/", import.meta.url);

function* committed(folder = gen, within = ""): Generator<[string, string]> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* committed(new URL(`${name}/`, folder), `${within}${name}/`);
    else yield [`${within}${name}`, Deno.readTextFileSync(new URL(name, folder))];
  }
}

Deno.test("proto/gen is what the generator makes of nex.proto and etcd.proto", async () => {
  const made = await generate(), there = new Map(committed());
  assert.deepEqual([...there.keys()].sort(), [...made.keys()].sort());
  for (const [name, text] of made) {
    assert(there.get(name) === text, `proto/gen/${name} is another one: run \`deno task generate\``);
  }
});
