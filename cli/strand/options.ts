/** Parses the options of the `strand` subcommands that do not use commander, and reports a mistake as wrong usage. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { usageError } from "../../services/common/usage.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** node:util's `parseArgs`, its errors as wrong usage. */
export function readArguments<T extends Options>(args: string[], options: T) {
  return parse(args, options, true);
}

/** Like {@link readArguments}, but positionals are wrong usage. */
export function readOptions<T extends Options>(args: string[], options: T) {
  return parse(args, options, false).values;
}

function parse<T extends Options>(args: string[], options: T, allowPositionals: boolean) {
  try {
    return parseArgs({ args, options, allowPositionals, strict: true });
  } catch (error) {
    throw usageError(error, Object.keys(options));
  }
}
