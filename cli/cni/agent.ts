/** The CNI plugin's client of the host's agent. It translates the agent's refusals into CNI error codes. */
import { AgentClient } from "../../services/agent/client/client.ts";
import { AgentRefusal, type AgentUnavailable } from "../../services/agent/client/errors.ts";
import { messageOf } from "../../services/common/refusal.ts";
import { activeTraceparent } from "../../services/common/tracing.ts";
import { CniError, type Code, codes } from "./error.ts";

/** How long an agent may take, in ms: less than a runtime waits. */
const PATIENCE = 60_000;

/** CNI codes by the agent's refusal code. */
const codeOf: Readonly<Record<string, Code>> = {
  invalid: codes.config,
  "not-found": codes.config,
  exists: codes.exists,
  exhausted: codes.exhausted,
  forbidden: codes.forbidden,
  conflict: codes.tryLater,
  unavailable: codes.tryLater,
};

/** CNI codes by the HTTP status, where there is no refusal code. */
const codeOfStatus: Readonly<Record<number, Code>> = { 404: codes.config, 503: codes.tryLater };

/**
 * Opens this host's agent at its Unix socket. Its methods throw CniError: 11 when it cannot be reached, 5 when access
 * is denied, and otherwise its refusals in CNI's terms, with the refusal as the cause.
 *
 * @param netns The runtime's name for the path of the container's namespace.
 */
export function openAgent(socket: string, netns = "CNI_NETNS"): AgentClient {
  return new AgentClient({
    address: { socket },
    name: "the agent",
    timeoutMs: PATIENCE,
    traceparent: activeTraceparent,
    explain: (error) => error instanceof AgentRefusal ? refused(error, netns) : unreachable(socket, error),
  });
}

function refused(refusal: AgentRefusal, netns: string): CniError {
  const { status, code = "" } = refusal;
  const sentence = sentenceOf(refusal);
  // The agent's names for that path.
  const field = /^(ns_handle_path|netns): /.exec(sentence)?.[0];
  if (code === "invalid" && field !== undefined) {
    return new CniError(codes.environment, `${netns}: ${sentence.slice(field.length)}`);
  }
  const ours = codeOf[code] ?? codeOfStatus[status] ?? codes.fault;
  return new CniError(ours, sentence, "", { cause: refusal });
}

/** The sentence of a refusal. */
function sentenceOf({ sentence, status }: AgentRefusal): string {
  return sentence ?? `the agent answers with status ${status}`;
}

function unreachable(path: string, error: AgentUnavailable): CniError {
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(messageOf(cause));
  const details = causes.join(": ");
  if (/permission denied/i.test(details)) {
    return new CniError(codes.io, `the agent at ${path} is for root alone: run the plugin as root`, details);
  }
  const reason = error.why === "late"
    ? "gives no answer"
    : error.why === "foreign"
    ? "does not answer as an agent does"
    : /no such file|connection refused/i.test(details)
    ? "is not there"
    : "has broken off";
  return new CniError(
    codes.tryLater,
    `the agent at ${path} ${reason}: see that "strand agent" runs on this host, or set "agent" to its socket`,
    details,
  );
}
