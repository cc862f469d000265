import { AgentClient } from "../../services/agent/client/client.ts";
import { AgentRefusal, type AgentUnavailable } from "../../services/agent/client/errors.ts";
import { messageOf } from "../../services/common/refusal.ts";
import { CniError, type Code, codes } from "./error.ts";

/** So long an agent may take, in ms: less than a runtime waits. */
const PATIENCE = 60_000;

/** By the refusal code that the agent gives. */
const codeOf: Readonly<Record<string, Code>> = {
  invalid: codes.config,
  "not-found": codes.config,
  exists: codes.exists,
  exhausted: codes.exhausted,
  forbidden: codes.forbidden,
  conflict: codes.tryLater,
  unavailable: codes.tryLater,
};

/** By its status, where it gives no such code. */
const codeOfStatus: Readonly<Record<number, Code>> = { 404: codes.config, 503: codes.tryLater };

/**
 * The agent of this host, by its Unix socket. Its methods throw CniError: 11 when it cannot be reached, 5 when it may not
 * be, and what its refusals are in the terms of CNI, with the refusal as the cause.
 */
export function openAgent(socket: string): AgentClient {
  return new AgentClient({
    address: { socket },
    name: "the agent",
    timeoutMs: PATIENCE,
    explain: (error) => error instanceof AgentRefusal ? refused(error) : unreachable(socket, error),
  });
}

function refused(refusal: AgentRefusal): CniError {
  const { status, code = "" } = refusal;
  const sentence = sentenceOf(refusal);
  // The agent's name for CNI_NETNS.
  const netns = /^(ns_handle_path|netns): /.exec(sentence)?.[0];
  if (code === "invalid" && netns !== undefined) {
    return new CniError(codes.environment, `CNI_NETNS: ${sentence.slice(netns.length)}`);
  }
  const ours = codeOf[code] ?? codeOfStatus[status] ?? codes.fault;
  return new CniError(ours, sentence, "", { cause: refusal });
}

/** What an agent says when it refuses. */
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
