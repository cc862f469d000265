/** The errors of calls to nexd's API. */

/**
 * Why a call failed: the first five are nexd's refusals of what is asked for, with gRPC's INVALID_ARGUMENT, NOT_FOUND,
 * ALREADY_EXISTS, FAILED_PRECONDITION and RESOURCE_EXHAUSTED; "conflict" is ABORTED, after which trying again is right;
 * "unavailable" is no answer, or one of an nexd whose etcd is away.
 */
export type NexdErrorCode =
  | "invalid"
  | "not-found"
  | "exists"
  | "forbidden"
  | "exhausted"
  | "conflict"
  | "unavailable";

/** A call to nexd failed. Its message is a sentence for people: nexd's own, or what is wrong with the connection and what to do. */
export class NexdError extends Error {
  override readonly name = "NexdError";

  /**
   * @param status The status of gRPC, a number; undefined: the call was not made.
   * @param wasMade True where nexd may have done what was asked for all the same, wholly or in part: look before it is sent again.
   */
  constructor(
    readonly code: NexdErrorCode,
    message: string,
    readonly status: number | undefined,
    readonly wasMade: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
