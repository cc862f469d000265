/** What is told of a change that is in etcd already, and that this host's kernel is to follow. */
import { messageOf, Refusal } from "../common/refusal.ts";
import { deadline } from "../common/async.ts";

/**
 * Waits until the kernel has followed a change that takes an endpoint away, or that many ms; what is left undone then is
 * done with the next comparison.
 *
 * @param done See {@link NetworkWorker.carriedOut}.
 * @throws Refusal "unavailable" with the reason when it could not be carried out.
 */
export async function followed(endpoint: string, done: Promise<void>, patienceMs: number): Promise<void> {
  await deadline(done, patienceMs).catch((cause) => {
    const message = `what is in etcd of endpoint ${endpoint} is not carried out on this host yet, ` +
      `and is tried again: ${messageOf(cause)}`;
    throw new Refusal("unavailable", message, { cause });
  });
}
