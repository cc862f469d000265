/** Gives memory back to the system once a service has started, by a full collection of V8's heap and malloc_trim(3). */
import { libc } from "./libc.ts";

/** V8's function of --expose-gc. */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "regular" | "last-resort" }) => void;

const { gc } = globalThis as { readonly gc?: Collect };

/**
 * Collects garbage now, in services whose V8 has --expose-gc: where much of it is known to be, and more memory is about to be
 * needed. V8 would rather let its heap grow. This takes a tenth of a second where 50 MiB are in use.
 */
export function collectGarbage(): void {
  gc?.({ type: "major", execution: "sync", flavor: "regular" });
}

/**
 * Collects all garbage now, in services whose V8 has --expose-gc, and gives back what libc keeps of freed buffers; in others V8
 * chooses the time. What a start leaves behind would else stay for minutes, and be collected in parts while the process is
 * otherwise at rest. This thread stands still meanwhile: for half a second where the heap has 100 MiB.
 */
export function releaseMemory(): void {
  if (!gc) return;
  // An ordinary collection leaves the heap's pages as they are.
  gc({ type: "major", execution: "sync", flavor: "last-resort" });
  libc.malloc_trim(0);
}
