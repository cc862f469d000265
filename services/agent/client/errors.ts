/** What a call of the agent's API ends with when it does not succeed. */

/** The agent's answer is a refusal. */
export class AgentRefusal extends Error {
  override readonly name = "AgentRefusal";

  /**
   * @param sentence The agent's own; undefined when it gave none.
   * @param code A RefusalCode where the agent names one, as it does at its Unix socket.
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

/** No answer of an agent was to be had. */
export class AgentUnavailable extends Error {
  override readonly name = "AgentUnavailable";

  /** @param why "late": the time was up; "foreign": what answers is no agent; "lost": there is no connection, see the cause */
  constructor(readonly why: "late" | "foreign" | "lost", message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
