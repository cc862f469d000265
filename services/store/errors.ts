/** The error of a transaction whose answer from etcd was lost. */

/**
 * The transaction was sent and its answer lost: it may or may not have happened. When a committer throws it, it will not
 * happen any more, see Fence: re-read before trying again.
 */
export class UnknownOutcome extends Error {
  override readonly name = "UnknownOutcome";
}
