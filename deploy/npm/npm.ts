/**
 * `deno task npm [--out DIRECTORY] [PACKAGE…]`: packs the clients of the agent's HTTP API and of nexd's gRPC API for npm, each as a
 * folder and as a tarball, into `dist/` when no other directory is named. `deno pack` makes JavaScript and declarations of the
 * sources that a client imports.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { capture } from "../dist/capture.ts";
import { outDirectory } from "../dist/out.ts";
import { epochOf, packTar } from "../dist/pack.ts";

interface Package {
  readonly name: string;
  readonly description: string;
  readonly keywords: readonly string[];
  /** The module that it exports. */
  readonly entry: string;
  /** The README, a file of this folder. */
  readonly readme: string;
  /** Those of deno.json's imports that it needs. */
  readonly imports: readonly string[];
}

const packages: readonly Package[] = [
  {
    name: "strand-agent-client",
    description: "A client of the HTTP API of Strand's agents",
    keywords: ["strand", "vxlan", "overlay", "network"],
    entry: "services/agent/client/mod.ts",
    readme: "README.md",
    imports: [],
  },
  {
    name: "strand-nexd-client",
    description: "A client of nexd, the gRPC API of Strand's networks",
    keywords: ["strand", "dhcp", "dns", "ipam", "network", "grpc"],
    entry: "services/nexd/api_client/mod.ts",
    readme: "nexd.md",
    imports: ["@bufbuild/protobuf", "@grpc/grpc-js"],
  },
];

/** Files that call Deno's functions, each with the file that is packed in its place. */
const instead: Readonly<Record<string, string>> = {
  "services/common/deno/server_identity.ts": "services/common/node_server_identity.ts",
  "services/common/http/dial.ts": "services/common/http/node_dial.ts",
};

/** Copies a source and all that it imports, so that `deno pack` sees these alone. */
async function copyWithImports(
  source: string,
  target: string,
  path: string,
  seen: Set<string>,
): Promise<void> {
  if (seen.has(path)) return;
  seen.add(path);
  const text = await Deno.readTextFile(`${source}/${instead[path] ?? path}`);
  await Deno.mkdir(`${target}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(`${target}/${path}`, text);
  for (const [, imported = ""] of text.matchAll(/ from "(\.[^"]+)";$/gm)) {
    const { pathname } = new URL(imported, `file:///${path}`);
    await copyWithImports(source, target, pathname.slice(1), seen);
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { out: { type: "string" } }, allowPositionals: true });
  const names = packages.map(({ name }) => name), unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`${unknown} is no package; there are ${names.join(" and ")}`);
  const source = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const out = await outDirectory(values.out, source);
  for (const one of packages) {
    if (!positionals.length || positionals.includes(one.name)) await make(one, source, out);
  }
}

async function make(
  { name, entry, readme, imports, description, keywords }: Package,
  source: string,
  out: string,
): Promise<void> {
  const work = await Deno.makeTempDir({ dir: out, prefix: `.${name}-` });
  try {
    await copyWithImports(source, work, entry, new Set());
    const { version, license, compilerOptions, imports: all } = JSON.parse(
      await Deno.readTextFile(`${source}/deno.json`),
    );
    const needed = Object.fromEntries(imports.map((name) => [name, all[name]]));
    const config = {
      // Deno wants a scope, which the package has not.
      name: `@strand/${name}`,
      version,
      license,
      exports: `./${entry}`,
      compilerOptions,
      imports: needed,
    };
    await Deno.writeTextFile(`${work}/deno.json`, JSON.stringify(config));
    const packed = `${work}/packed.tgz`;
    const flags = ["--quiet", "--allow-dirty", "--no-source-maps", "-c", `${work}/deno.json`, "-o", packed];
    await capture([Deno.execPath(), "pack", ...flags], { cwd: work });
    await capture(["tar", "--extract", `--file=${packed}`, `--directory=${work}`]);
    const made = JSON.parse(await Deno.readTextFile(`${work}/package/package.json`));
    const manifest = {
      ...made,
      name,
      description,
      keywords,
      engines: { node: ">=20" },
      sideEffects: false,
      ...imports.length &&
        { dependencies: Object.fromEntries(imports.map((name) => [name, rangeOf(all[name])])) },
    };
    await Deno.writeTextFile(`${work}/package/package.json`, JSON.stringify(manifest, null, 2) + "\n");
    await Deno.copyFile(`${source}/deploy/npm/${readme}`, `${work}/package/README.md`);
    await Deno.copyFile(`${source}/LICENSE`, `${work}/package/LICENSE`);
    const folder = `${name}-${version}`, options = { epoch: await epochOf(source), level: 9 };
    await packTar(`${work}/${folder}.tar`, options, [`--directory=${work}`, "package"]);
    await Deno.remove(`${out}/${folder}`, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.rename(`${work}/package`, `${out}/${folder}`);
    await Deno.rename(`${work}/${folder}.tar.gz`, `${out}/${folder}.tgz`);
    console.log(`${out}/${folder}.tgz`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Of `npm:NAME@1.2.3` the versions that npm may take in its place. */
function rangeOf(specifier: string): string {
  return specifier.replace(/^npm:.*@/, "^");
}

try {
  await main();
} catch (error) {
  console.error(`npm: ${messageOf(error)}`);
  Deno.exit(1);
}
