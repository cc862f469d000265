/** The transaction was sent and its answer lost: it may or may not have happened. Re-read before trying again. */
export class UnknownOutcome extends Error {
  override readonly name = "UnknownOutcome";
}
