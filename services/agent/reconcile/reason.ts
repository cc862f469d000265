/** Why a whole network is compared with the kernel; "drift": the kernel notified a change that was not the agent's. */
export type CompareReason = "start" | "change" | "check" | "drift" | "retry";

/** True for a comparison that no change in etcd caused. */
export function isCheck(reason: CompareReason): boolean {
  return reason === "check" || reason === "drift";
}
