/**
 * One call of the CNI plugin: it reads environment and standard input, runs the operation, and prints the result or
 * the error as JSON.
 */
import { messageOf } from "../../services/common/refusal.ts";
import { decode, readBasics } from "./config.ts";
import { type Parameters, readParameters } from "./environment.ts";
import { CniError, codes } from "./error.ts";
import type { JsonObject } from "./json.ts";
import { add, check, del, gc, status } from "./operations.ts";
import type { PluginOutcome } from "./process.ts";
import { assertKnown, newest, type Version, versions } from "./version.ts";

/**
 * One call of the plugin (CNI specification 1.1.0, section 2).
 *
 * @param input Reads all of standard input.
 */
export async function call(
  environment: Readonly<Record<string, string>>,
  input: () => Promise<Uint8Array>,
): Promise<PluginOutcome> {
  const spoken: { version: Version } = { version: newest };
  try {
    const parameters = readParameters(environment);
    const bytes = await read(input);
    const output = parameters.operation === "VERSION"
      ? versionOf(bytes)
      : await act(parameters, bytes, spoken);
    return { status: 0, output };
  } catch (error) {
    const { code, message, details } = error instanceof CniError
      ? error
      : new CniError(codes.fault, `a fault of the plugin: ${messageOf(error)}`, (error as Error).stack ?? "");
    return {
      status: 1,
      output: { cniVersion: spoken.version, code, msg: message, ...details ? { details } : {} },
    };
  }
}

/** @throws CniError 5 */
export function read(input: () => Promise<Uint8Array>): Promise<Uint8Array> {
  return input().catch((error) => {
    throw new CniError(codes.io, "standard input cannot be read", messageOf(error));
  });
}

async function act(
  parameters: Parameters,
  bytes: Uint8Array,
  spoken: { version: Version },
): Promise<JsonObject | undefined> {
  const basics = readBasics(decode(bytes));
  spoken.version = basics.version;
  assertKnown(parameters.operation, basics.version);
  switch (parameters.operation) {
    case "ADD":
      return await add(basics, parameters);
    case "DEL":
      await del(basics, parameters);
      break;
    case "CHECK":
      await check(basics, parameters);
      break;
    case "STATUS":
      await status(basics, parameters);
      break;
    case "GC":
      await gc(basics);
  }
  return undefined;
}

/** Older runtimes send nothing on standard input for VERSION. */
function versionOf(bytes: Uint8Array): JsonObject {
  const requested = bytes.length ? decode(bytes).object()["cniVersion"] : undefined;
  return { cniVersion: typeof requested === "string" ? requested : newest, supportedVersions: versions };
}
