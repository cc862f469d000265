/** The machine architectures that Strand is built for, and where the Deno for each of them comes from. */
import { readFile } from "node:fs/promises";
import { invalid, messageOf, reasonOf, Refusal } from "../../services/common/refusal.ts";
import { capture } from "./capture.ts";

/** A kind of machine that Strand is built for. */
export interface BuildTarget {
  /** As in the name of what is built. */
  readonly arch: "x64" | "arm64";
  /** As `deno compile --target` calls it. */
  readonly triple: string;
  /** As Debian calls it. */
  readonly debian: "amd64" | "arm64";
  /** The npm package that holds Deno for it. */
  readonly denoPackage: string;
  /** In the header of its programs: ELF's e_machine. */
  readonly machine: number;
}

const targets: readonly BuildTarget[] = [
  {
    arch: "x64",
    triple: "x86_64-unknown-linux-gnu",
    debian: "amd64",
    denoPackage: "@deno/linux-x64-glibc",
    machine: 62,
  },
  {
    arch: "arm64",
    triple: "aarch64-unknown-linux-gnu",
    debian: "arm64",
    denoPackage: "@deno/linux-arm64-glibc",
    machine: 183,
  },
];

/** The target of that name; this machine's own when none is named. Throws Refusal when there is none such. */
export function targetOf(arch: string | undefined): BuildTarget {
  const target = targets.find((target) => arch === undefined ? isHost(target) : target.arch === arch);
  if (target) return target;
  const known = targets.map(({ arch }) => arch).join(", ");
  throw invalid(`--arch: "${arch ?? Deno.build.arch}" is none of ${known}`);
}

/** True: a program for it can be started here. */
export function isHost({ triple }: BuildTarget): boolean {
  return triple === Deno.build.target;
}

/**
 * Copies the Deno of that target, of the version that runs this, to `path`: the one that DENO_BIN names, or else
 * this machine's own for itself, and for another the npm registry's, whose digest npm checks.
 *
 * @throws Refusal when it cannot be had, or what is named is another
 */
export async function copyDeno(target: BuildTarget, path: string): Promise<void> {
  const named = Deno.env.get("DENO_BIN");
  if (named) {
    await checkNamed(named, target);
    await Deno.copyFile(named, path);
  } else if (isHost(target)) await Deno.copyFile(Deno.execPath(), path);
  else await fetchDeno(target, path);
}

/** It cannot be asked: it may be another machine's. */
async function checkNamed(path: string, { arch, machine }: BuildTarget): Promise<void> {
  const wanted = Deno.version.deno;
  const bytes = await readFile(path).catch((error) => {
    throw invalid(`DENO_BIN: ${path} cannot be read: ${reasonOf(error)}`);
  });
  const isProgram = bytes.length > 20 && bytes.toString("latin1", 0, 4) === "\x7fELF";
  if (isProgram && bytes.readUInt16LE(18) === machine && bytes.includes(`Deno/${wanted}`)) return;
  throw invalid(`DENO_BIN: ${path} is not Deno ${wanted} for ${arch}`);
}

async function fetchDeno(target: BuildTarget, path: string): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "strand-dist-" });
  try {
    const id = `${target.denoPackage}@${Deno.version.deno}`;
    const download = ["npm", "pack", "--loglevel=error", "--pack-destination", work, id];
    await capture(download, { cwd: work }).catch((error) => {
      const [reason = ""] = messageOf(error).split("; ", 1);
      const message = `npm gives no ${id} here (${reason}): set DENO_BIN to Deno ${Deno.version.deno} for ` +
        target.triple;
      throw new Refusal("unavailable", message, { cause: error });
    });
    const [archive] = [...Deno.readDirSync(work)];
    await capture([
      "tar",
      "--extract",
      `--file=${work}/${archive?.name}`,
      `--directory=${work}`,
      "package/deno",
    ]);
    await Deno.copyFile(`${work}/package/deno`, path);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
