import { delay } from "../../common/async.ts";
import type { Log } from "../../common/log.ts";
import { Refusal } from "../../common/refusal.ts";
import type { NameClaim } from "../name_claim.ts";
import type { StoreGuard } from "./guard.ts";

/** How long a release waits for the host's name, in ms, and how often it looks. */
const PATIENCE = 5000, LOOK_EVERY = 500;

export interface ReleaseOptions {
  readonly claim: Pick<NameClaim, "hold">;
  /** Undefined until the agent has looked at the store. */
  readonly storeGuard: StoreGuard | undefined;
  /** Does what was left undone during the hold. */
  readonly goOn: () => Promise<void>;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

/**
 * `strand agent release`: etcd is taken for right as it is now, and this host follows it again.
 *
 * @returns what is told to the operator
 * @throws Refusal "forbidden" when the hold is not one that an operator can release
 */
export async function releaseHold(
  { claim, storeGuard, goOn, log, stopping }: ReleaseOptions,
): Promise<string> {
  // In another etcd, the host's name has to be claimed first.
  const started = performance.now();
  while (claim.hold?.passing && performance.now() - started < PATIENCE) await delay(LOOK_EVERY, stopping);
  if (claim.hold) {
    throw new Refusal("forbidden", `nothing to release: ${claim.hold.reason}; ${claim.hold.fix}`);
  }
  const hold = storeGuard?.storeHold;
  if (!storeGuard || !hold) return "the agent is not on hold";
  storeGuard.release();
  log.warn(`the hold is released: etcd is believed as it is; it was on hold because ${hold.reason}`);
  await goOn();
  return "released: this host follows etcd again";
}
