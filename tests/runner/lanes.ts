/** Runs many pieces of work, as many at a time as the machine has room for. */
import { deadline } from "../../services/common/async.ts";
import { Load } from "./load.ts";

/**
 * So many files run at a time, for most of them wait three quarters of their time for clocks, namespaces and other processes.
 * More of them run, up to the second figure, while the processors are idle.
 */
const AT_ONCE = 2 * navigator.hardwareConcurrency + 1, AT_MOST = 5 * navigator.hardwareConcurrency;

/** How long to look whether the processors are idle, in ms: a file that has begun has been busy by then. */
const LOOK = 1000;

/** Does `work` for each, in their order, as many at a time as the machine has room for; results that are undefined are left out. */
export async function inLanes<T, R>(
  waiting: readonly T[],
  work: (one: T) => Promise<R> | undefined,
): Promise<R[]> {
  const results: R[] = [], running = new Set<Promise<void>>();
  const load = new Load();
  for (const one of waiting) {
    while (running.size >= AT_ONCE && !(running.size < AT_MOST && load.hasRoom())) {
      await deadline(Promise.race(running), LOOK);
    }
    const begun = work(one);
    if (!begun) continue;
    const done: Promise<void> = begun.then((result) => {
      results.push(result);
      running.delete(done);
    });
    running.add(done);
  }
  await Promise.all(running);
  return results;
}
