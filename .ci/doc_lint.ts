/** Names every exported function and class that has no doc comment. `deno doc --lint` would ask for each field's. */

/** The part of `deno doc --json` that is looked at. */
interface Doc {
  nodes: Record<string, {
    symbols: {
      name: string;
      declarations: { kind: string; declarationKind: string; jsDoc?: unknown; location: { line: number } }[];
    }[];
  }>;
}

const root = new URL("../", import.meta.url);

function* sources(folder: URL): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield new URL(name, folder).href;
  }
}

const files = ["services/", "ffi/", "cli/"].flatMap((folder) => [...sources(new URL(folder, root))]);
const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--json", ...files],
}).output();
if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as Doc;
const bare = Object.entries(nodes).flatMap(([file, { symbols }]) =>
  symbols.flatMap(({ name, declarations }) =>
    declarations
      .filter(({ kind, declarationKind }) => declarationKind === "export" && /^(function|class)$/.test(kind))
      .filter(({ jsDoc }) => jsDoc === undefined)
      .map(({ kind, location }) => `${file.slice(root.href.length)}:${location.line + 1}: ${kind} ${name}`)
  )
);
for (const line of bare) console.error(`${line} has no doc comment`);
Deno.exit(bare.length ? 1 : 0);
