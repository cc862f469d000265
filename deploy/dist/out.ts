/** Finds or creates the directory that the build commands write their results to. */
import { resolve } from "node:path";
import { invalid, reasonOf } from "../../services/common/refusal.ts";

/**
 * The directory that `--out` names, or `dist/` in the checkout; it is made where it is not there yet.
 *
 * @throws Refusal when it is none that can be written
 */
export async function outDirectory(named: string | undefined, checkout: string): Promise<string> {
  if (named === "") throw invalid('--out: "" names no directory');
  const out = resolve(named ?? `${checkout}/dist`);
  try {
    await Deno.mkdir(out, { recursive: true });
    // Only a trial shows whether it can be written: root may, but not on a read-only file system.
    await Deno.remove(await Deno.makeTempFile({ dir: out, prefix: ".strand-" }));
  } catch (error) {
    throw invalid(`--out: ${out} is no directory that can be written: ${reasonOf(error)}`);
  }
  return out;
}
