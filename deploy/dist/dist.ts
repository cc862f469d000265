/**
 * `deno task dist [--arch x64|arm64] [--out DIRECTORY]`: Strand as a portable folder, the same as a tarball, and the
 * manifest of both; into `dist/` when no other directory is named.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { version } from "../../services/common/version.ts";
import { fillFolder } from "./folder.ts";
import { epochOf, pack } from "./pack.ts";
import { manifest } from "./spdx.ts";
import { targetOf } from "./target.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { arch: { type: "string" }, out: { type: "string" } } });
  const target = targetOf(values.arch);
  const source = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const out = values.out ?? `${source}/dist`;
  const name = `strand-${version}-linux-${target.arch}`;
  const folder = `${out}/${name}`;
  await Deno.mkdir(out, { recursive: true });
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(folder);
  const epoch = await epochOf(source);
  const packages = await fillFolder(source, folder, target);
  const document = JSON.stringify(await manifest({ folder, version, target, packages, epoch }), null, 1) +
    "\n";
  await Deno.writeTextFile(`${folder}/strand-${version}.spdx.json`, document);
  await Deno.writeTextFile(`${out}/${name}.spdx.json`, document);
  console.log(await pack(out, name, epoch));
}

try {
  await main();
} catch (error) {
  console.error(`dist: ${messageOf(error)}`);
  Deno.exit(1);
}
