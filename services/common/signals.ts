/** How long what is in flight may take to finish after a stop signal, in milliseconds. */
export const STOP_WITHIN = 5000;

/** SIGTERM and SIGINT as one abort signal. SIGUSR1 is left alone: the runtime opens its inspector on it. */
export interface StopSignal {
  /** Aborted at the first SIGTERM or SIGINT. */
  readonly signal: AbortSignal;
  /** Gives the signals back to the runtime. */
  release(): void;
}

/** Listens for the signals that ask a process to stop; a second SIGINT ends it at once, for the impatient. */
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
