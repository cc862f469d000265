/** Has V8 collect garbage at a time when nothing waits for this thread. */

/**
 * Collects all garbage now, in services whose V8 has --expose-gc; in others V8 chooses the time. What a start leaves on the heap V8
 * would else keep for minutes, and collect in parts while the process is otherwise at rest.
 */
export function collectGarbage(): void {
  (globalThis as { readonly gc?: () => void }).gc?.();
}
