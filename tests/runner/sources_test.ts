/**
 * The form of the sources: imports go one way, types included, and each file of the product says what it is and is short enough
 * to be read at once.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const MOST_LINES = 350, MOST_COLUMNS = 132;

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

const sources = new Map(
  ["services", "ffi", "cli", "proto", "deploy"].flatMap((folder) => [...product(folder)]),
);
const byHand = [...sources].filter(([path]) => !path.startsWith("proto/gen/"));

Deno.test("imports go one way: no file needs itself, not for a type nor by import()", () => {
  const imports = new Map([...sources].map(([path, text]) => [
    path,
    [
      ...text.matchAll(/^(?:import|export)\s[^;]*?from\s+"(\.[^"]+)";/gm),
      ...text.matchAll(/\bimport\("(\.[^"]+)"\)/g),
    ].map(([, to]) => join(dirname(path), to ?? "")),
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
  const long = byHand.map(([path, text]) => [path, text.split("\n").length - 1] as const)
    .filter(([, lines]) => lines > MOST_LINES);
  assert.deepEqual(long, []);
});

Deno.test(`no line of the product has more than ${MOST_COLUMNS} columns, comments included`, () => {
  const long = byHand.flatMap(([path, text]) =>
    text.split("\n").flatMap((line, i) =>
      line.length > MOST_COLUMNS ? `${path}:${i + 1}: ${line.length}` : []
    )
  );
  assert.deepEqual(long, []);
});

/**
 * The comment about a file as a whole: it comes before anything else, and a blank line or an import follows. One that a
 * declaration follows is about that alone.
 */
const ABOUT_FILE =
  /^(?:#!.*\n)?(?:\/\/ deno-lint-ignore-file.*\n)?\/\*\*\s(?:\* )?((?:(?!\*\/)[^])*)\*\/\n(?=\n|import\b)/;

Deno.test("each file of the product begins with a comment that says what the file is", () => {
  const about = (text: string) => ABOUT_FILE.exec(text)?.[1]?.replaceAll(/^ \* ?/gm, "").trim();
  assert.equal(about('/** A. */\nimport a from "./a.ts";\n'), "A.");
  assert.equal(about("/**\n * A.\n *\n * B.\n */\n\nconst a = 1;\n"), "A.\n\nB.");
  assert.equal(about("/** A constant. */\nconst a = 1;\n\n/** B. */\n\nconst b = 2;\n"), undefined);
  assert.equal(about('import a from "./a.ts";\n/** A. */\n\nconst b = a;\n'), undefined);
  const without = byHand.filter(([, text]) => about(text) === undefined).map(([path]) => path);
  assert.deepEqual(without, []);
});

Deno.test("no doc comment of the product begins with a clause that has no subject, nor does a parameter's", () => {
  const clause = String.raw`(?:What|Who|Whose|Which|Whether|Where|The same|Of (?:it|one|what))\b.*`;
  const begins = [
    new RegExp(String.raw`^\s*\/\*\*(?:\n\s*\*)? (${clause})`, "gm"),
    new RegExp(String.raw`^\s*\/?\*.*@(?:param \S+|returns) (${clause})`, "gm"),
  ];
  const found = (text: string) =>
    begins.flatMap((begin) => [...text.matchAll(begin)].map(([, line]) => line));
  const riddle = "  /** Where it is. */\n/**\n * What is done.\n * @param port Which it is.\n */\n";
  assert.deepEqual(found(riddle), ["Where it is. */", "What is done.", "Which it is."]);
  assert.deepEqual(found("/** The time limit of a call, in ms. */\n  // Where it is new, it counts.\n"), []);
  const riddles = byHand.flatMap(([path, text]) => found(text).map((line) => `${path}: ${line}`));
  assert.deepEqual(riddles, []);
});

/** Client packages of their own, whose names are those of the APIs that they are for; node_dial.ts stands in for dial.ts in one. */
const OTHERS_NAMES = /^services\/(?:agent\/client\/types|common\/http\/node_dial)\.ts$/;

Deno.test("no two files of the product export different types of one name", () => {
  const files = new Map<string, string[]>();
  for (const [path, text] of sources) {
    if (path.startsWith("proto/gen/") || OTHERS_NAMES.test(path) || path.endsWith("/testing.ts")) continue;
    for (
      const [, name = ""] of text.matchAll(/^export (?:abstract )?(?:class|enum|interface|type) (\w+)/gm)
    ) {
      files.set(name, [...files.get(name) ?? [], path]);
    }
  }
  assert.deepEqual([...files].filter(([, paths]) => paths.length > 1), []);
});
