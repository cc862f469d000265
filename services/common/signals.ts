/** Turns SIGTERM and SIGINT into an AbortSignal by which a process stops in order. */

/** How long running work may take to finish after a stop signal, in milliseconds. */
export const STOP_WITHIN = 5000;

/** SIGTERM and SIGINT as one abort signal. SIGUSR1 is left alone: the runtime opens its inspector on it. */
export interface StopSignal {
  /** Aborted at the first SIGTERM or SIGINT. */
  readonly signal: AbortSignal;
  /** Restores the default handling of the signals. */
  release(): void;
}

/** Handles the signals that ask a process to stop; a second SIGINT ends it at once. */
export function onStopSignals(): StopSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const interrupt = () => controller.signal.aborted ? Deno.exit(130) : stop();
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGINT", interrupt);
  return {
    signal: controller.signal,
    release() {
      Deno.removeSignalListener("SIGTERM", stop);
      Deno.removeSignalListener("SIGINT", interrupt);
    },
  };
}
