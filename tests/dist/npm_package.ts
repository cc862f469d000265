/** A package of deploy/npm as a program has it: packed, and unpacked among the modules of a folder that vanishes with the test. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** One package with all that is in it. */
export class NpmPackage implements AsyncDisposable {
  private constructor(private readonly name: string, readonly directory: string) {}

  static async create(name: string): Promise<NpmPackage> {
    const directory = await Deno.makeTempDir({ prefix: `${name}-` });
    await using stack = new AsyncDisposableStack();
    const made = stack.use(new NpmPackage(name, directory));
    const pack = ["run", "-A", "--quiet", "--cached-only", `${root}deploy/npm/npm.ts`, "--out", directory];
    await run([Deno.execPath(), ...pack, name]);
    const archive = `${name}-${version}.tgz`;
    const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    assert.deepEqual(names, [`${name}-${version}`, archive]);
    await Deno.mkdir(made.path, { recursive: true });
    await run(["tar", "-xzf", `${directory}/${archive}`, "--strip-components=1", "-C", made.path]);
    stack.move();
    return made;
  }

  /** The folder of modules in which it is. */
  get modules(): string {
    return `${this.directory}/node_modules`;
  }

  get path(): string {
    return `${this.modules}/${this.name}`;
  }

  read(file: string): string {
    return Deno.readTextFileSync(`${this.path}/${file}`);
  }

  /** Its manifest, after what holds of each package: its name, version and licence, files that are there, and nothing of Deno's. */
  async manifest() {
    const manifest = JSON.parse(this.read("package.json"));
    assert.deepEqual([manifest.name, manifest.version, manifest.license], [this.name, version, "Apache-2.0"]);
    for (const file of ["README.md", "LICENSE", manifest.types, manifest.exports["."].import]) {
      assert.ok(this.read(file), file);
    }
    const found = await run(["grep", "-rlE", "\\bDeno\\.", this.path, "--include=*.js"], { mayFail: true });
    assert.equal(found.stdout, "");
    return manifest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
