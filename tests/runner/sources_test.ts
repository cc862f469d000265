/** The form of the sources: imports go one way, types included, and no file of the product is too long to be read at once. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const MOST_LINES = 350;

/** The text of each file of the product that was written by hand, by its path. */
function product(folder: string, found = new Map<string, string>()): Map<string, string> {
  for (const { name, isDirectory } of Deno.readDirSync(root + folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) product(path, found);
    else if (/\.tsx?$/.test(name) && !/_test\.ts$/.test(name)) {
      found.set(path, Deno.readTextFileSync(root + path));
    }
  }
  return found;
}

const sources = new Map(["services", "ffi", "cli", "proto"].flatMap((folder) => [...product(folder)]));

Deno.test("imports go one way: no file needs itself, not for a type either", () => {
  const imports = new Map([...sources].map(([path, text]) => [
    path,
    [...text.matchAll(/^(?:import|export)\s[^;]*?from\s+"(\.[^"]+)";/gm)].map(([, to]) =>
      join(dirname(path), to ?? "")
    ),
  ]));
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    assert(!way.includes(path), [...way.slice(way.indexOf(path)), path].join(" imports "));
    if (done.has(path)) return;
    for (const to of imports.get(path) ?? []) visit(to, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  assert([...imports.values()].flat().length > sources.size, "imports are found");
});

Deno.test(`no file of the product has more than ${MOST_LINES} lines`, () => {
  const long = [...sources].filter(([path]) => !path.startsWith("proto/gen/")).map(([path, text]) =>
    [path, text.split("\n").length - 1] as const
  ).filter(([, lines]) => lines > MOST_LINES);
  assert.deepEqual(long, []);
});
