/**
 * `deno task npm [--out DIRECTORY]`: packs the client of the agent's HTTP API for npm, as a folder and as a tarball,
 * into `dist/` when no other directory is named. `deno pack` makes JavaScript and declarations of the sources that
 * the client imports.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { capture } from "../dist/capture.ts";
import { outDirectory } from "../dist/out.ts";
import { epochOf, packTar } from "../dist/pack.ts";

const NAME = "strand-agent-client", ENTRY = "services/agent/client/mod.ts";
/** Files that call Deno's functions, each with the file that is packed in its place. */
const instead: Readonly<Record<string, string>> = {
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
  const { values } = parseArgs({ options: { out: { type: "string" } } });
  const source = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const out = await outDirectory(values.out, source);
  const work = await Deno.makeTempDir({ dir: out, prefix: `.${NAME}-` });
  try {
    await copyWithImports(source, work, ENTRY, new Set());
    const { version, license, compilerOptions } = JSON.parse(await Deno.readTextFile(`${source}/deno.json`));
    // Deno wants a scope, which the package has not.
    const config = { name: `@strand/${NAME}`, version, license, exports: `./${ENTRY}`, compilerOptions };
    await Deno.writeTextFile(`${work}/deno.json`, JSON.stringify(config));
    const packed = `${work}/packed.tgz`;
    await capture([
      Deno.execPath(),
      "pack",
      "--quiet",
      "--allow-dirty",
      "--no-source-maps",
      "-c",
      `${work}/deno.json`,
      "-o",
      packed,
    ], {
      cwd: work,
    });
    await capture(["tar", "--extract", `--file=${packed}`, `--directory=${work}`]);
    const made = JSON.parse(await Deno.readTextFile(`${work}/package/package.json`));
    const manifest = {
      ...made,
      name: NAME,
      description: "A client of the HTTP API of Strand's agents",
      keywords: ["strand", "vxlan", "overlay", "network"],
      engines: { node: ">=20" },
      sideEffects: false,
    };
    await Deno.writeTextFile(`${work}/package/package.json`, JSON.stringify(manifest, null, 2) + "\n");
    await Deno.copyFile(`${source}/deploy/npm/README.md`, `${work}/package/README.md`);
    await Deno.copyFile(`${source}/LICENSE`, `${work}/package/LICENSE`);
    const name = `${NAME}-${version}`, options = { epoch: await epochOf(source), level: 9 };
    await packTar(`${work}/${name}.tar`, options, [`--directory=${work}`, "package"]);
    await Deno.remove(`${out}/${name}`, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.rename(`${work}/package`, `${out}/${name}`);
    await Deno.rename(`${work}/${name}.tar.gz`, `${out}/${name}.tgz`);
    console.log(`${out}/${name}.tgz`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

try {
  await main();
} catch (error) {
  console.error(`npm: ${messageOf(error)}`);
  Deno.exit(1);
}
