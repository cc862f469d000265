/** Answers a request whose handler threw an error, and logs the errors that are defects of the agent. */
import { type Log, OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { type Answer, errorAnswer } from "./answers.ts";

/** Answers a request whose handler threw; defects are logged, each cause once a minute. */
export class Faults {
  readonly #log: Log;
  readonly #once = new OncePerMinute();

  constructor(log: Log) {
    this.#log = log;
  }

  answer(error: unknown, method: string, route: string): Answer {
    const answer = errorAnswer(error);
    if (answer.status === 500 && this.#once.due(`${method} ${route} ${messageOf(error)}`)) {
      this.#log.error({ err: error }, `${method} ${route} failed`);
    }
    return answer;
  }
}
