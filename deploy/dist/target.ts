import { Refusal } from "../../services/common/refusal.ts";
import { capture } from "./capture.ts";

/** A kind of machine that Strand is built for. */
export interface Target {
  /** As in the name of what is built. */
  readonly arch: "x64" | "arm64";
  /** As `deno compile --target` calls it. */
  readonly triple: string;
  /** The npm package that holds Deno for it. */
  readonly denoPackage: string;
}

const targets: readonly Target[] = [
  { arch: "x64", triple: "x86_64-unknown-linux-gnu", denoPackage: "@deno/linux-x64-glibc" },
  { arch: "arm64", triple: "aarch64-unknown-linux-gnu", denoPackage: "@deno/linux-arm64-glibc" },
];

/** The target of that name; this machine's own when none is named. Throws Refusal when there is none such. */
export function targetOf(arch: string | undefined): Target {
  const target = targets.find((target) => arch ? target.arch === arch : isHost(target));
  if (target) return target;
  const message = `--arch: "${arch ?? Deno.build.arch}" is none of ${
    targets.map(({ arch }) => arch).join(", ")
  }`;
  throw new Refusal("invalid", message);
}

function isHost({ triple }: Target): boolean {
  return triple === Deno.build.target;
}

/**
 * Copies the Deno of that target, of the version that runs this, to `path`: this machine's is the one that runs,
 * another's comes from the npm registry, whose digest npm checks.
 */
export async function copyDeno(target: Target, path: string): Promise<void> {
  if (isHost(target)) return await Deno.copyFile(Deno.execPath(), path);
  const work = await Deno.makeTempDir({ prefix: "strand-dist-" });
  try {
    const id = `${target.denoPackage}@${Deno.version.deno}`;
    await capture(["npm", "pack", "--silent", "--pack-destination", work, id], { cwd: work }).catch(
      (error) => {
        const message = `Deno for ${target.arch} cannot be had here: npm gives no ${id}`;
        throw new Refusal("unavailable", message, { cause: error });
      },
    );
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
