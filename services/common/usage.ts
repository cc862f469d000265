/** The command line itself is wrong: one sentence for stderr, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
