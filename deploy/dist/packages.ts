/**
 * Finds the npm packages that the program imports, and those that these depend on. The lock file's other packages are
 * for tests.
 */
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

/** Files that only a compiler or a debugger reads, or that made the package, like .npmignore. */
const unneeded = /\.(d\.)?[cm]?ts$|\.map$|^\./;
/** Packages that the program never loads: of declarations alone, and rollbar's for browsers. */
const unloaded = /^@types\/|^undici-types$|^@rrweb\/record$/;
/** Their folders that it never loads: their own tests, of which bintrees' nest so deep that `deno compile` overflows its stack. */
const unloadedFolders = /\/node_modules\/(@[^/]+\/)?[^/]+\/tests?$|\/node_modules\/rollbar\/dist$/;

/** The part of deno.lock that is read. */
interface LockFile {
  /** The versions of imported packages, like `npm:yaml@2.9.1`, as they stand in the names of `npm`. */
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly integrity: string;
  /** Names with the version, or without where there is only one. */
  readonly dependencies?: readonly string[];
}

/**
 * The names in the lock file's `npm` of the packages that are loaded by a program with these imports.
 *
 * @param imports like `npm:yaml@2.9.1`
 * @throws Refusal when one of them, or what it asks for, is not in the lock file
 */
export function neededPackages({ specifiers, npm }: LockFile, imports: readonly string[]): string[] {
  const needed = new Set<string>();
  const add = (wanted: string) => {
    const id = Object.keys(npm).find((id) => id === wanted || nameOf(id) === wanted);
    if (id === undefined) throw new Refusal("invalid", `deno.lock has no npm package ${wanted}`);
    if (needed.has(id) || unloaded.test(nameOf(id))) return;
    needed.add(id);
    for (const dependency of npm[id]?.dependencies ?? []) add(dependency);
  };
  for (const specifier of imports) add(`${nameOf(specifier.replace("npm:", ""))}@${specifiers[specifier]}`);
  return [...needed];
}

/** The name in a key of the lock file: `@grpc/reflection` of `@grpc/reflection@1.0.4_@grpc+grpc-js@1.14.7`. */
function nameOf(id: string): string {
  return id.slice(0, id.indexOf("@", 1));
}

/**
 * Installs the packages of `source`'s deno.lock in an empty place, copies those that the imports of its deno.json need, and
 * of them what runs, into `target/node_modules`, and returns them in the order of their names. Takes them from Deno's cache,
 * or else from the registry.
 *
 * @throws Refusal when they cannot be installed or one of them names no licence.
 */
export async function installPackages(source: string, target: string): Promise<NpmPackage[]> {
  const work = await Deno.makeTempDir({ prefix: "strand-dist-" });
  try {
    for (const file of ["deno.json", "package.json", "deno.lock"]) {
      await Deno.copyFile(`${source}/${file}`, `${work}/${file}`);
    }
    await capture([Deno.execPath(), "install", "--quiet", "--frozen"], { cwd: work });
    const lock = JSON.parse(await Deno.readTextFile(`${work}/deno.lock`)) as LockFile;
    const { imports } = JSON.parse(await Deno.readTextFile(`${work}/deno.json`)) as {
      imports: Record<string, string>;
    };
    const packages = neededPackages(lock, Object.values(imports)).map((id) => describe(work, id, lock));
    const folders = new Set(packages.map(({ folder }) => Deno.realPathSync(`${work}/${folder}`)));
    await copyPackages(`${work}/node_modules`, `${target}/node_modules`, folders);
    return packages.sort((a, b) => a.folder < b.folder ? -1 : 1);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The description of a package that is installed in `work`, whose name in the lock file may end with its peers. */
function describe(work: string, id: string, { npm }: LockFile): NpmPackage {
  const { integrity = "", dependencies = [] } = npm[id] ?? {};
  const name = nameOf(id), version = /^[^_]+/.exec(id.slice(name.length + 1))?.[0] ?? "";
  const folder = `node_modules/.deno/${name.replace("/", "+")}@${version}/node_modules/${name}`;
  const manifest = JSON.parse(Deno.readTextFileSync(`${work}/${folder}/package.json`)) as {
    license?: string | { type?: string };
  };
  const license = typeof manifest.license === "object" ? manifest.license.type : manifest.license;
  if (!license) throw new Refusal("invalid", `the npm package ${id} names no licence: it cannot be shipped`);
  return {
    name,
    version,
    license,
    integrity,
    folder,
    dependencies: dependencies.map((dependency) => dependency.replace(/(.@[^_]*)_.*/, "$1")),
  };
}

/** Copies of a `node_modules` the packages that are in `folders`, and the links to them. */
async function copyPackages(from: string, to: string, folders: ReadonlySet<string>): Promise<void> {
  for (const { name, isDirectory, isSymlink } of [...Deno.readDirSync(from)]) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (isDirectory && folders.has(Deno.realPathSync(source))) await copyTree(source, target);
    else if (isDirectory && !isOther(source, folders)) await copyPackages(source, target, folders);
    else if (isSymlink && folders.has(Deno.realPathSync(source))) {
      await Deno.mkdir(to, { recursive: true });
      await Deno.symlink(await Deno.readLink(source), target);
    }
  }
}

/** True for the place of a package that is not among them, like `.deno/etcd3@1.1.2`, where links to its dependencies are too. */
function isOther(path: string, folders: ReadonlySet<string>): boolean {
  const isPlace = /\/node_modules\/\.deno\/[^/]*[^/@]@[^/]*$/.test(path);
  return isPlace && ![...folders].some((folder) => folder.startsWith(`${Deno.realPathSync(path)}/`));
}

/** Copies of a package what runs. */
async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const { name, isDirectory } of [...Deno.readDirSync(from)]) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (isDirectory && !unloadedFolders.test(source)) await copyTree(source, target);
    else if (!isDirectory && !unneeded.test(name)) await Deno.copyFile(source, target);
  }
}
