/** What `deno task dist` makes of this clone, once for all test files of a run. */
import { fileURLToPath } from "node:url";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";
import { sharedInRun } from "../lab/shared.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const [arch, debian] = Deno.build.arch === "x86_64" ? ["x64", "amd64"] : ["arm64", "arm64"];

/** The names that it gives to the folder, and to the tarball and the manifest without their ends. */
export const name = `strand-${version}-linux-${arch}`;
export const deb = `strand_${version}_${debian}.deb`;

/** The time that what the tests make is dated with, which makes two builds alike. */
export const env = { SOURCE_DATE_EPOCH: "1700000000" };

/** The quickest compression: most of what is packed here is unpacked once and thrown away. */
export const quick = ["--level", "1"];

/**
 * The command line of a shell script that has memory for a disk: at /media, and for temporary files. Thousands of files are
 * written there in a fraction of the time.
 */
export function inMemory(script: string, ...args: readonly string[]): string[] {
  const memory = "mount -t tmpfs tmpfs /media; export TMPDIR=/media";
  return ["unshare", "--mount", "sh", "-euc", `${memory}\n${script}`, "sh", ...args];
}

export interface Distribution extends AsyncDisposable {
  /** Where tarball, package and manifest are. */
  readonly path: string;
  readonly tarball: string;
  readonly deb: string;
  /** The sources that it was made of, once more: somewhere else, with other times and modes. */
  readonly sources: string;
}

export async function distribution(): Promise<Distribution> {
  const shared = await sharedInRun("dist", async (directory) => {
    await copySources(`${directory}/sources`);
    const command = [Deno.execPath(), "run", "-A", "--quiet", "--cached-only", `${root}deploy/dist/dist.ts`];
    const build = inMemory(
      'to=$1; shift; "$@" --out /media/out; cd /media/out; cp *.tar.gz *.spdx.json *.deb "$to"',
      directory,
      ...command,
      ...quick,
    );
    await run(build, { env, timeout: 600_000 });
  });
  const { path } = shared;
  return {
    path,
    tarball: `${path}/${name}.tar.gz`,
    deb: `${path}/${deb}`,
    sources: `${path}/sources`,
    [Symbol.asyncDispose]: () => shared[Symbol.asyncDispose](),
  };
}

async function copySources(path: string): Promise<void> {
  await Deno.mkdir(path);
  const parts = ["cli", "services", "ffi", "proto", "examples", "docs", "deploy", "deno.json", "deno.lock"];
  const files = [...parts, "package.json", "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"];
  await run(["cp", "-r", "--no-preserve=all", ...files.map((part) => root + part), path]);
}
