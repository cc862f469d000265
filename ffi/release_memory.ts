/** Gives memory back to the system once a service has started, by a full collection of V8's heap and malloc_trim(3). */
import { libc } from "./libc.ts";

/** V8's function of --expose-gc. */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "regular" | "last-resort" }) => void;

/** The function, in services that have --expose-gc. */
const exposed = () => (globalThis as { readonly gc?: Collect }).gc;

/**
 * V8's heap is collected from this size on, in bytes. Of the 25 MiB that an agent without networks has when it has started, three
 * would be given back, for a quarter of the processor time that its start takes.
 */
const WORTHWHILE = 40 << 20;

/** The size of V8's heap, with what of it is free, in bytes. */
const heapSize = () => Deno.memoryUsage().heapTotal;

/**
 * Collects garbage now, in services whose V8 has --expose-gc: where much of it is known to be, and more memory is about to be
 * needed. V8 would rather let its heap grow. A small heap is left as it is. This takes a tenth of a second where 50 MiB are in use.
 *
 * @param heap Its size in bytes.
 */
export function collectGarbage(heap = heapSize()): void {
  if (heap >= WORTHWHILE) exposed()?.({ type: "major", execution: "sync", flavor: "regular" });
}

/**
 * Collects all garbage now, in services whose V8 has --expose-gc, and gives back what libc keeps of freed buffers; in others V8
 * chooses the time, as it does where the heap is small. What a start leaves behind would else stay for minutes, and be collected in
 * parts while the process is otherwise at rest. This thread stands still meanwhile: for half a second where the heap has 100 MiB.
 *
 * @param heap Its size in bytes.
 */
export function releaseMemory(heap = heapSize()): void {
  const gc = exposed();
  if (!gc) return;
  // An ordinary collection leaves the heap's pages as they are.
  if (heap >= WORTHWHILE) gc({ type: "major", execution: "sync", flavor: "last-resort" });
  libc.malloc_trim(0);
}
