/** Waits for etcd at the start of a process. */
import { delay } from "../common/async.ts";
import { Refusal } from "../common/refusal.ts";

/** How long to wait before etcd is asked again, in ms. */
const RETRY_MS = 500;

/** Runs an action, and repeats it while etcd cannot be reached. */
export async function onceReached(act: () => Promise<void>, stopping: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof Refusal && error.code === "unavailable")) throw error;
      await delay(RETRY_MS, stopping);
      if (stopping.aborted) return;
    }
  }
}
