/** Gives memory back to the system once a service has started, by a full collection of V8's heap and malloc_trim(3). */
import { libc } from "./libc.ts";

/** V8's function of --expose-gc. */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/**
 * Collects all garbage now, in services whose V8 has --expose-gc, and gives back what libc keeps of freed buffers; in others V8
 * chooses the time. What a start leaves behind would else stay for minutes, and be collected in parts while the process is
 * otherwise at rest. This thread stands still meanwhile: for half a second where the heap has 100 MiB.
 */
export function releaseMemory(): void {
  const { gc } = globalThis as { readonly gc?: Collect };
  if (!gc) return;
  // An ordinary collection leaves the heap's pages as they are.
  gc({ type: "major", execution: "sync", flavor: "last-resort" });
  libc.malloc_trim(0);
}
