/** The reasons for which a whole network is compared with the kernel. */

/** Why a whole network is compared with the kernel; "drift": the kernel notified a change that was not the agent's. */
export type CompareReason = "start" | "change" | "check" | "drift" | "retry";

/** True for a comparison that no change in etcd caused. */
export function isCheck(reason: CompareReason): boolean {
  return reason === "check" || reason === "drift";
}

/** True for a comparison that a request may wait for, and no other network's check is to delay. */
export function isUrgent(reason: CompareReason): boolean {
  return reason !== "start" && reason !== "check";
}
