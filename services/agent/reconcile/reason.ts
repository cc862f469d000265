/** Why all of a network is compared with the kernel; "drift": the kernel has told of a change that was not the agent's. */
export type CompareReason = "start" | "change" | "check" | "drift" | "retry";

/** True for a comparison that nothing in the store has asked for. */
export function isCheck(reason: CompareReason): boolean {
  return reason === "check" || reason === "drift";
}
