/** Waits until this host's kernel has applied a change that is in etcd already. */
import { messageOf, Refusal } from "../../common/refusal.ts";
import { deadline } from "../../common/async.ts";

/**
 * Waits until the removal of an endpoint is applied to the kernel, for that many ms at most; the next full comparison
 * does what is left then.
 *
 * @param done See {@link NetworkWorker.whenApplied}.
 * @throws Refusal "unavailable" with the reason when it could not be applied
 */
export async function followed(endpoint: string, done: Promise<void>, patienceMs: number): Promise<void> {
  await deadline(done, patienceMs).catch((cause) => {
    const message = `the change of endpoint ${endpoint} is in etcd and not applied on this host yet, ` +
      `and is tried again: ${messageOf(cause)}`;
    throw new Refusal("unavailable", message, { cause });
  });
}
