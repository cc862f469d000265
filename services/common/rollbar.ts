/** Sends a process's errors to Rollbar, where a token is configured. */
import Rollbar from "rollbar";
import type { RollbarSettings } from "./config_agent.ts";
import type { LoggedFailure } from "./log.ts";
import { version } from "./version.ts";

/** Sends errors to Rollbar. */
export interface Reporter {
  report(failure: LoggedFailure): void;
  /** Resolves once everything is sent, or could not be. */
  flush(): Promise<void>;
}

/** The most reports in a minute: a repeating fault is known by then. */
const PER_MINUTE = 60;

/**
 * Creates a reporter to Rollbar.
 *
 * @param host The machine's name in reports.
 * @param onLost Called when a report could not be delivered.
 */
export function openReporter(
  { token, environment, endpoint }: RollbarSettings,
  host: string,
  onLost: (reason: string) => void,
): Reporter {
  const rollbar = new Rollbar({
    accessToken: token,
    environment,
    host,
    codeVersion: version,
    itemsPerMinute: PER_MINUTE,
    // Automatic instrumentation is off: fatal errors are reported explicitly, and Rollbar must not get the requests
    // of this process.
    autoInstrument: false,
    captureUncaught: false,
    captureUnhandledRejections: false,
    ...(endpoint !== undefined && { endpoint }),
  });
  return {
    report({ message, error, fields, fatal }) {
      const told = (lost: Error | null | undefined) => void (lost && onLost(lost.message));
      const args = [message, ...(error === undefined ? [] : [asError(error)]), { ...fields }, told];
      if (fatal) rollbar.critical(...args);
      else rollbar.error(...args);
    },
    flush: () => new Promise((resolve) => rollbar.wait(resolve)),
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
