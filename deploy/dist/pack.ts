import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { invalid, messageOf, Refusal } from "../../services/common/refusal.ts";
import { capture } from "./capture.ts";

/**
 * Packs `directory/name` as `directory/name.tar.gz`: the same files give the same bytes, whichever user owns them and
 * whenever they were written. Deno compresses, so that it does not matter which gzip a machine has.
 *
 * @param epoch What every entry is dated, in seconds since 1970.
 */
export async function pack(directory: string, name: string, epoch: number): Promise<void> {
  await packTar(`${directory}/${name}.tar`, epoch, [`--directory=${directory}`, name]);
}

/** Packs what tar's arguments `what` name as `archive`.gz. */
export async function packTar(archive: string, epoch: number, what: readonly string[]): Promise<void> {
  await capture([
    "tar",
    "--create",
    `--file=${archive}`,
    "--format=gnu",
    "--sort=name",
    `--mtime=@${epoch}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u=rwX,go=rX",
    ...what,
  ], { env: { LC_ALL: "C" } });
  await pipeline(createReadStream(archive), createGzip({ level: 6 }), createWriteStream(`${archive}.gz`));
  await Deno.remove(archive);
}

/**
 * When the checkout was last changed, in seconds since 1970: SOURCE_DATE_EPOCH, or its last commit.
 *
 * @throws Refusal when neither tells
 */
export async function epochOf(checkout: string): Promise<number> {
  const named = Deno.env.get("SOURCE_DATE_EPOCH");
  if (named) {
    if (/^\d{1,10}$/.test(named)) return Number(named);
    throw invalid(`SOURCE_DATE_EPOCH: "${named}" is no number of seconds since 1970`);
  }
  try {
    return Number(await capture(["git", "-C", checkout, "log", "-1", "--format=%ct"]));
  } catch (error) {
    const message = `SOURCE_DATE_EPOCH is not set, and no last commit tells the time: ${messageOf(error)}`;
    throw new Refusal("unavailable", message, { cause: error });
  }
}
