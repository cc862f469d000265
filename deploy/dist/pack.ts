import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { capture } from "./capture.ts";

/**
 * Packs `directory/name` as `directory/name.tar.gz`: the same files give the same bytes, whoever owns them and
 * whenever they were written. Deno compresses, so that it does not matter which gzip a machine has.
 *
 * @param epoch What every entry is dated, in seconds since 1970.
 */
export async function pack(directory: string, name: string, epoch: number): Promise<string> {
  const archive = `${directory}/${name}.tar`;
  await capture([
    "tar",
    "--create",
    `--file=${archive}`,
    `--directory=${directory}`,
    "--format=gnu",
    "--sort=name",
    `--mtime=@${epoch}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u=rwX,go=rX",
    name,
  ], { env: { LC_ALL: "C" } });
  await pipeline(createReadStream(archive), createGzip({ level: 6 }), createWriteStream(`${archive}.gz`));
  await Deno.remove(archive);
  return `${archive}.gz`;
}

/** When the checkout was last changed, in seconds since 1970: SOURCE_DATE_EPOCH, or its last commit. */
export async function epochOf(checkout: string): Promise<number> {
  const named = Deno.env.get("SOURCE_DATE_EPOCH");
  if (named && /^\d+$/.test(named)) return Number(named);
  return Number(await capture(["git", "-C", checkout, "log", "-1", "--format=%ct"]));
}
