/** Packs a directory as a tarball whose bytes depend on the files' contents alone, so that a build can be reproduced. */
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { invalid, messageOf, Refusal } from "../../services/common/refusal.ts";
import { capture } from "./capture.ts";

export interface PackOptions {
  /** The date of every entry, in seconds since 1970. */
  readonly epoch: number;
  /** Of gzip, from 1, the quickest, to 9. */
  readonly level: number;
}

/**
 * Packs `directory/name` as `directory/name.tar.gz`: the same files give the same bytes, whichever user owns them and
 * whenever they were written. Deno compresses, so that it does not matter which gzip a machine has.
 */
export async function pack(directory: string, name: string, options: PackOptions): Promise<void> {
  await packTar(`${directory}/${name}.tar`, options, [`--directory=${directory}`, name]);
}

/** Packs what tar's arguments `what` name as `archive`.gz. */
export async function packTar(
  archive: string,
  { epoch, level }: PackOptions,
  what: readonly string[],
): Promise<void> {
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
  await pipeline(createReadStream(archive), createGzip({ level }), createWriteStream(`${archive}.gz`));
  await Deno.remove(archive);
}

/** The compression that `--level` names; throws Refusal when it names none. */
export function levelOf(named: string | undefined): number {
  if (named === undefined) return 6;
  if (/^[1-9]$/.test(named)) return Number(named);
  throw invalid(`--level: "${named}" is none of 1 to 9`);
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
