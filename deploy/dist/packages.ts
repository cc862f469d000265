/** The npm packages of deno.lock, as much of them as runs. */
import { Refusal } from "../../services/common/refusal.ts";
import { capture } from "./capture.ts";

/** A package of the lock file, with what is said of it there and in its own package.json. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly license: string;
  /** Of the package's archive: `sha512-BASE64`. */
  readonly integrity: string;
  /** Its folder under the root, like `node_modules/.deno/yaml@2.9.1/node_modules/yaml`. */
  readonly folder: string;
  /** The packages that it asks for, as `name@version`, or as `name` where there is only one version of it. */
  readonly dependencies: readonly string[];
}

/** What only a compiler or a debugger reads, or what made the package, like .npmignore. */
const unneeded = /\.(d\.)?[cm]?ts$|\.map$|^\./;
/** Packages of declarations alone. */
const declarations = /^@types\/|^undici-types$/;
/** Where these are in node_modules, and what only Deno's installer reads. */
const skipped = /^(@types(\+.*)?|undici-types(@.*)?|\.bin|\.setup-cache\.bin|\.deno\.lock)$/;
/** A package's own; those of bintrees nest so deep that `deno compile` overflows its stack. */
const tests = /^tests?$/;

interface LockFile {
  npm: Record<string, { integrity: string; dependencies?: string[] }>;
}

/**
 * Installs the packages of `source`'s deno.lock in an empty place, copies what runs into `target/node_modules`,
 * and returns the packages in the order of their names. Takes them from Deno's cache, or else from the registry.
 *
 * @throws Refusal when they cannot be installed or one of them names no licence.
 */
export async function installPackages(source: string, target: string): Promise<NpmPackage[]> {
  const work = await Deno.makeTempDir({ prefix: "strand-dist-" });
  try {
    for (const file of ["deno.json", "deno.lock"]) {
      await Deno.copyFile(`${source}/${file}`, `${work}/${file}`);
    }
    await capture([Deno.execPath(), "install", "--quiet", "--frozen"], { cwd: work });
    const lock = JSON.parse(await Deno.readTextFile(`${work}/deno.lock`)) as LockFile;
    const packages = Object.entries(lock.npm)
      .map(([id, entry]) => describe(work, id, entry))
      .filter(({ name }) => !declarations.test(name));
    await copyTree(`${work}/node_modules`, `${target}/node_modules`);
    return packages.sort((a, b) => a.folder < b.folder ? -1 : 1);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** From a lock file's `@grpc/reflection@1.0.4_@grpc+grpc-js@1.14.7`, whose end says which peers it was given. */
function describe(work: string, id: string, entry: LockFile["npm"][string]): NpmPackage {
  const [, name = "", version = ""] = /^(@?[^@]+)@([^_]+)/.exec(id) ?? [];
  const folder = `node_modules/.deno/${name.replace("/", "+")}@${version}/node_modules/${name}`;
  const manifest = JSON.parse(Deno.readTextFileSync(`${work}/${folder}/package.json`)) as {
    license?: string | { type?: string };
  };
  const license = typeof manifest.license === "object" ? manifest.license.type : manifest.license;
  if (!license) throw new Refusal("invalid", `the npm package ${id} names no licence: it cannot be shipped`);
  const dependencies = (entry.dependencies ?? []).map((dependency) =>
    dependency.replace(/(.@[^_]*)_.*/, "$1")
  );
  return { name, version, license, integrity: entry.integrity, folder, dependencies };
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  const entries = [...Deno.readDirSync(from)];
  const isPackage = entries.some(({ name }) => name === "package.json");
  for (const { name, isDirectory, isSymlink } of entries) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (skipped.test(name) || (isPackage && isDirectory && tests.test(name))) continue;
    if (isDirectory) await copyTree(source, target);
    else if (isSymlink) await Deno.symlink(await Deno.readLink(source), target);
    else if (!unneeded.test(name)) await Deno.copyFile(source, target);
  }
}
