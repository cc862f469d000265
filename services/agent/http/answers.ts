/** Maps refusals to HTTP status codes, and thrown errors to the JSON that answers a request. */
import { type Answer, HttpError, json } from "../../common/http/answers.ts";
import { messageOf, Refusal, type RefusalCode } from "../../common/refusal.ts";
import { UnknownOutcome } from "../../store/errors.ts";

export { type Answer, HttpError, json };

export const statusOf: Readonly<Record<RefusalCode, number>> = {
  "invalid": 400,
  "forbidden": 400,
  "not-found": 404,
  "exists": 409,
  "exhausted": 409,
  "conflict": 409,
  "unavailable": 503,
};

/**
 * The answer to a thrown error: `{"error": "sentence"}`. Anything but a Refusal or HttpError is a defect of the
 * agent, with status 500.
 */
export function errorAnswer(error: unknown): Answer {
  const sentence = messageOf(error);
  if (error instanceof HttpError) {
    return { ...json(error.status, { error: sentence }), headers: error.headers };
  }
  if (error instanceof Refusal) return json(statusOf[error.code], { error: sentence });
  if (error instanceof UnknownOutcome) {
    return json(503, { error: `etcd's answer was lost, look before trying again: ${sentence}` });
  }
  return json(500, { error: `the agent failed at this, its log says more: ${sentence}` });
}
