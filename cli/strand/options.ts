import { parseArgs, type ParseArgsConfig } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";

/** node:util's `parseArgs` without positionals, its errors as wrong usage. */
export function readOptions<T extends NonNullable<ParseArgsConfig["options"]>>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: false, strict: true }).values;
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
}
