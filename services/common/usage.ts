/** The error of a wrong command line, which ends a program with exit status 2. */
import { closest } from "./closest.ts";
import { messageOf } from "./refusal.ts";

/** The command line itself is wrong: one sentence for stderr, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Converts an error of node:util's `parseArgs` to wrong usage; `options` are the known names. */
export function usageError(error: unknown, options: Iterable<string>): UsageError {
  const message = messageOf(error).replace(/\. To specify a positional argument.*$/s, "");
  const typed = /^Unknown option '--([^']+)'/.exec(message)?.[1];
  const meant = typed && closest(typed, options);
  return new UsageError(meant ? `${message}; did you mean --${meant}?` : message, { cause: error });
}
