/** docs/CONFIGURATION.md is held against the schema: every key with its variables and its default, and no other. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { agentVariables, schema, variables } from "./config_schema.ts";
import { Cidr } from "./ip.ts";
import { formatHostPort, type HostPort } from "./host_port.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const page = Deno.readTextFileSync(`${root}docs/CONFIGURATION.md`);

/** The items of the page's lists that begin with a key, by key: its variables, and its default if the item has one. */
const items = new Map(
  [...page.matchAll(/^- `([a-z][\w.-]+)`((?:,\s+`[A-Z_]+`)+)(?:, default (`\S+`|none))?:/gm)].map(
    ([, key = "", names = "", value]) =>
      [key, { names: names.match(/[A-Z_]+/g) ?? [], value: value?.replaceAll("`", "") }] as const,
  ),
);

Deno.test("docs/CONFIGURATION.md has every key with its variables, in the order in which they count, and no other", () => {
  const known = new Map<string, string[]>();
  for (const { name, path } of [...variables, ...agentVariables]) {
    const key = path.join(".");
    known.set(key, [...known.get(key) ?? [], name]);
  }
  const sorted = (keys: ReadonlyMap<string, unknown>) => [...keys.keys()].sort();
  assert.deepEqual(sorted(items), sorted(known));
  for (const [key, names] of known) assert.deepEqual(items.get(key)?.names, names, key);
});

Deno.test("docs/CONFIGURATION.md has the default of every key that has one", () => {
  const defaults: Record<string, unknown> = schema.parse({});
  for (const [key, { value }] of items) {
    const set = key.split(".").reduce<unknown>(
      (section, name) => (section as Record<string, unknown> | undefined)?.[name],
      defaults,
    );
    assert.equal(value, inWords(set), key);
  }
});

function inWords(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.join(",");
  if (value instanceof Cidr) return `${value}`;
  return typeof value === "object" ? formatHostPort(value as HostPort) : String(value);
}

Deno.test("docs/CONFIGURATION.md names every variable that the program reads", () => {
  const read = /"((?:STRAND|NEX|SAND|CNI|OTEL|XDG)_[A-Z_]+|NO_COLOR|SSL_CERT_FILE)"/g;
  const names = new Set(
    ["services", "cli"].flatMap((folder) => [...sources(`${root}${folder}`)])
      .flatMap((file) => [...Deno.readTextFileSync(file).matchAll(read)].map(([, name = ""]) => name)),
  );
  assert.ok(names.size > 15, [...names].join(" "));
  assert.deepEqual([...names].filter((name) => !page.includes(`\`${name}\``)), []);
});

function* sources(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield `${folder}/${name}`;
  }
}
