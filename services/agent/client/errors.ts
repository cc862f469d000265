/** The errors of calls to an agent's API. */

/** The agent's answer is a refusal. */
export class AgentRefusal extends Error {
  override readonly name = "AgentRefusal";

  /**
   * @param sentence The agent's sentence; undefined when it sent none.
   * @param code A RefusalCode where the agent sends one, as it does at its Unix socket.
   */
  constructor(
    agent: string,
    readonly status: number,
    readonly sentence: string | undefined,
    readonly code?: string,
  ) {
    super(sentence ?? `${agent} answers with status ${status} and no reason`);
  }
}

/** The agent did not answer. */
export class AgentUnavailable extends Error {
  override readonly name = "AgentUnavailable";
  /** False: there was no connection, so that the agent knows nothing of the request; else it may have done what was asked. */
  readonly wasSent: boolean;

  /**
   * @param why "late": the deadline passed; "foreign": the server is no agent; "lost": there is no connection, see
   *   the cause
   */
  constructor(readonly why: "late" | "foreign" | "lost", message: string, options: UnavailableOptions = {}) {
    super(message, options);
    this.wasSent = options.wasSent ?? true;
  }
}

export interface UnavailableOptions extends ErrorOptions {
  readonly wasSent?: boolean;
}
