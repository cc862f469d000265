/**
 * `deno task dist [--arch x64|arm64] [--out DIRECTORY] [--level 1-9]`: Strand as a portable folder, the same as a tarball
 * and as a Debian package, and the manifest of all three; into `dist/` when no other directory is named. The level is
 * gzip's, 6 by default: 1 takes half the time, for packages that are a tenth larger.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { version } from "../../services/common/version.ts";
import { buildDeb, debName } from "./deb.ts";
import { fillFolder } from "./folder.ts";
import { outDirectory } from "./out.ts";
import { epochOf, levelOf, pack } from "./pack.ts";
import { manifest } from "./spdx.ts";
import { targetOf } from "./target.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { arch: { type: "string" }, out: { type: "string" }, level: { type: "string" } },
  });
  const target = targetOf(values.arch), level = levelOf(values.level);
  const source = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const out = await outDirectory(values.out, source);
  const name = `strand-${version}-linux-${target.arch}`;
  const epoch = await epochOf(source);
  // The results of an earlier run stay until this one is done, so the directory is never incomplete.
  const work = `${out}/${name}.part`;
  await removeTree(work);
  try {
    const folder = `${work}/${name}`;
    await Deno.mkdir(folder, { recursive: true });
    const packages = await fillFolder(source, folder, target);
    const document = JSON.stringify(await manifest({ folder, version, target, packages, epoch }), null, 1) +
      "\n";
    await Deno.writeTextFile(`${folder}/strand-${version}.spdx.json`, document);
    await Deno.writeTextFile(`${work}/${name}.spdx.json`, document);
    const deb = debName(version, target);
    // Both compress, which takes most of the time.
    await Promise.all([
      pack(work, name, { epoch, level }),
      buildDeb(`${work}/${deb}`, { source, directory: work, name, version, target, epoch, level }),
    ]);
    await removeTree(`${out}/${name}`);
    for (const made of [name, `${name}.spdx.json`, `${name}.tar.gz`, deb]) {
      await Deno.rename(`${work}/${made}`, `${out}/${made}`);
    }
  } finally {
    await removeTree(work);
  }
  console.log(`${out}/${name}.tar.gz`);
  console.log(`${out}/${debName(version, target)}`);
}

async function removeTree(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

try {
  await main();
} catch (error) {
  console.error(`dist: ${messageOf(error)}`);
  Deno.exit(1);
}
