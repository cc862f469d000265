/** What is shipped of npm is what the program imports, and nothing that only the tests do. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { neededPackages } from "../../deploy/dist/packages.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => Deno.readTextFileSync(root + path);
const imports: Record<string, string> = JSON.parse(read("deno.json")).imports;
const forTests = Object.keys(JSON.parse(read("package.json")).devDependencies);

function* sources(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(root + folder)) {
    if (isDirectory && folder !== "proto/generator") yield* sources(`${folder}/${name}`);
    else if (/\.tsx?$/.test(name)) yield `${folder}/${name}`;
  }
}

/** The npm packages that a source names. */
function packagesOf(path: string): string[] {
  // Declarations have imports and exports from a module, and a call has it alone.
  const modules = /(?:\bfrom |\bimport\(|^import )"((?:@[a-z-]+\/)?[a-z][a-z0-9.-]*)(?:\/[^"]*)?"/gm;
  return [...read(path).matchAll(modules)].map(([, name = ""]) => name).filter((name) => name !== "node");
}

Deno.test("deno.json imports what the program does, exactly, and no source of it imports what is for tests", () => {
  const shipped = ["cli", "services", "ffi", "proto"].flatMap((folder) => [...sources(folder)])
    .filter((path) => !path.endsWith("_test.ts"));
  const imported = new Set(shipped.flatMap(packagesOf));
  assert.deepEqual([...imported].sort(), Object.keys(imports).sort());
  for (const specifier of Object.values(imports)) assert.match(specifier, /^npm:.+@\d+\.\d+\.\d+$/);
});

Deno.test("package.json has what tests import beside that, exactly", () => {
  const tests = ["cli", "services", "ffi", "proto", "tests"].flatMap((folder) => [...sources(folder)]);
  const beside = new Set(tests.flatMap(packagesOf).filter((name) => !(name in imports)));
  const declared = forTests.filter((name) => !name.startsWith("@types/"));
  assert.deepEqual([...beside].sort(), declared.sort());
});

Deno.test("neededPackages() takes what imports ask for, and leaves out what is for tests, browsers and compilers", () => {
  const lock = JSON.parse(read("deno.lock"));
  const needed = neededPackages(lock, Object.values(imports)).map((id) => id.slice(0, id.indexOf("@", 1)));
  for (const name of Object.keys(imports)) assert.ok(needed.includes(name), name);
  for (const name of ["pure-rand", "cockatiel", "@rrweb/record", "rrweb", "@types/node", ...forTests]) {
    assert.ok(Object.keys(lock.npm).some((id) => id.startsWith(`${name}@`)), `${name} is in deno.lock`);
    assert.ok(!needed.includes(name), `${name} is not shipped`);
  }
});

Deno.test("neededPackages() tells versions apart, and refuses what the lock file does not have", () => {
  const entry = (...dependencies: string[]) => ({ integrity: "", dependencies });
  const lock = {
    specifiers: { "npm:a@1.0.0": "1.0.0_b@2.0.0", "npm:lost@1.0.0": "1.0.0" },
    npm: {
      "@s/c@1.0.0": entry("b@1.0.0"),
      "a@1.0.0_b@2.0.0": entry("@s/c", "b@2.0.0"),
      "b@1.0.0": entry(),
      "b@2.0.0": entry("a"),
      "other@1.0.0": entry(),
    },
  };
  assert.deepEqual(neededPackages(lock, ["npm:a@1.0.0"]), [
    "a@1.0.0_b@2.0.0",
    "@s/c@1.0.0",
    "b@1.0.0",
    "b@2.0.0",
  ]);
  assert.throws(() => neededPackages(lock, ["npm:lost@1.0.0"]), /deno\.lock has no npm package lost@1\.0\.0/);
});
