import { messageOf } from "../../services/common/refusal.ts";
import { CniError, type Code, codes } from "./error.ts";
import { Field } from "./json.ts";

/** So long an agent may take, in ms: less than a runtime waits. */
const PATIENCE = 60_000;

/** By what an agent says in its header strand-refusal. */
const codeOf: Readonly<Record<string, Code>> = {
  invalid: codes.config,
  "not-found": codes.config,
  exists: codes.exists,
  exhausted: codes.exhausted,
  forbidden: codes.forbidden,
  conflict: codes.tryLater,
  unavailable: codes.tryLater,
};

/** What an agent says. */
export interface Answer {
  readonly status: number;
  readonly body: Field;
}

/** The agent of this host, by its Unix socket. */
export class Agent implements Disposable {
  readonly #client: Deno.HttpClient;

  constructor(readonly path: string) {
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  }

  /** @throws CniError 11 when it cannot be reached, 5 when it may not be */
  async ask(
    method: string,
    target: string,
    body?: unknown,
    patience = PATIENCE,
  ): Promise<Answer & { refusal: string }> {
    try {
      const answer = await fetch(`http://agent${target}`, {
        client: this.#client,
        method,
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(patience),
      });
      const text = await answer.text();
      const refusal = answer.headers.get("strand-refusal") ?? "";
      return { status: answer.status, refusal, body: new Field("", parse(text)) };
    } catch (error) {
      throw unreachable(this.path, error);
    }
  }

  /** The same, whose answer must be a success. @throws CniError also for what the agent refuses */
  async get(method: string, target: string, body?: unknown): Promise<Answer> {
    const { refusal, ...answer } = await this.ask(method, target, body);
    if (answer.status < 300) return answer;
    const sentence = sentenceOf(answer);
    // Its word for CNI_NETNS.
    const netns = /^(ns_handle_path|netns): /.exec(sentence)?.[0];
    if (refusal === "invalid" && netns !== undefined) {
      throw new CniError(codes.environment, `CNI_NETNS: ${sentence.slice(netns.length)}`);
    }
    const byStatus: Readonly<Record<number, Code>> = { 404: codes.config, 503: codes.tryLater };
    throw new CniError(codeOf[refusal] ?? byStatus[answer.status] ?? codes.fault, sentence);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** What an agent says when it refuses. */
export function sentenceOf({ status, body }: Answer): string {
  const { error } = typeof body.value === "object" ? body.object() : {};
  return typeof error === "string" ? error : `the agent answers with status ${status}`;
}

function parse(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    // Nothing of an agent's: its status says enough.
    return undefined;
  }
}

function unreachable(path: string, error: unknown): CniError {
  const causes: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) causes.push(messageOf(cause));
  const details = causes.join(": ");
  if (/permission denied/i.test(details)) {
    return new CniError(codes.io, `the agent at ${path} is for root alone: run the plugin as root`, details);
  }
  const reason = error instanceof DOMException && error.name === "TimeoutError"
    ? "gives no answer"
    : /no such file|connection refused/i.test(details)
    ? "is not there"
    : "has broken off";
  return new CniError(
    codes.tryLater,
    `the agent at ${path} ${reason}: see that "strand agent" runs on this host, or set "agent" to its socket`,
    details,
  );
}
