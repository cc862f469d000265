import Rollbar from "rollbar";
import type { Failure } from "./log.ts";
import { version } from "./version.ts";

export interface RollbarSettings {
  readonly token: string;
  /** What the errors are filed under: production, staging… */
  readonly environment: string;
  /** Undefined: Rollbar's own API. */
  readonly endpoint?: string | undefined;
}

/** Sends errors to Rollbar. */
export interface Reporter {
  report(failure: Failure): void;
  /** Resolves once everything is sent, or could not be. */
  flush(): Promise<void>;
}

/** So many a minute at most: a fault that repeats itself is known by then. */
const PER_MINUTE = 60;

/**
 * Opens the way to Rollbar.
 *
 * @param host What the machine is called there.
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
    // Our own processes say what ends them, and nothing of what they send elsewhere is Rollbar's business.
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
