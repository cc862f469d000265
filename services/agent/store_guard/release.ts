/** Carries out `strand agent release`: an operator declares that etcd is the right store, and the hold ends. */
import type { Log } from "../../common/log.ts";
import { Refusal } from "../../common/refusal.ts";
import type { NameClaim } from "./name_claim.ts";
import type { StoreGuard } from "./guard.ts";

export interface ReleaseOptions {
  readonly claim: Pick<NameClaim, "hold" | "settle">;
  /** Undefined until the agent has read the store. */
  readonly storeGuard: StoreGuard | undefined;
  /** Applies what the hold had delayed. */
  readonly resume: () => Promise<void>;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

/**
 * `strand agent release`: takes etcd as it is for the right store, and makes this host follow it again.
 *
 * @returns the sentence for the operator
 * @throws Refusal "forbidden" when an operator cannot release the hold
 */
export async function releaseHold(
  { claim, storeGuard, resume, log, stopping }: ReleaseOptions,
): Promise<string> {
  // In another etcd, the host's name has to be claimed first.
  await claim.settle(stopping);
  if (claim.hold) {
    throw new Refusal("forbidden", `nothing to release: ${claim.hold.reason}; ${claim.hold.fix}`);
  }
  const hold = storeGuard?.storeHold;
  if (!storeGuard || !hold) return "the agent is not on hold";
  storeGuard.release();
  log.warn(
    `an operator has released the hold: this host follows etcd again; it was on hold because ${hold.reason}`,
  );
  await resume();
  return "released: this host follows etcd again";
}
