/** Tells whether a change that failed may have been made all the same, since a missing answer says nothing about what was done. */
import { Refusal } from "../../common/refusal.ts";
import { mayBeCarriedOut } from "../../nexd/client/explain.ts";

/** A request was sent, and it is not known what became of it. */
export class OutcomeUnknown extends Refusal {
  constructor(message: string, options?: ErrorOptions) {
    super("unavailable", message, options);
  }
}

/** True where what was asked for may have been done, wholly or in part. */
export function isUncertain(error: unknown): boolean {
  return error instanceof OutcomeUnknown || !(error instanceof Refusal) || mayBeCarriedOut(error.cause);
}
