/** The log of every process, by pino: JSON lines for programs, or plain lines for people. */
import { pino } from "pino";
import type { Config } from "./config.ts";
import { priority, stderrIsJournal } from "./journal.ts";
import { messageOf, printable } from "./refusal.ts";

/** pino's logger: `log.info({network: "mini"}, "pool exhausted")`. */
export type Log = pino.Logger;

const ERROR = 50, FATAL = 60;

const labels: Record<number, string> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO ",
  40: "WARN ",
  [ERROR]: "ERROR",
  [FATAL]: "FATAL",
};

/** A log line of a failure. */
export interface LoggedFailure {
  readonly message: string;
  /** The thrown error, if it was logged. */
  readonly error: unknown;
  readonly fields: Readonly<Record<string, unknown>>;
  /** True: the process ends because of it. */
  readonly fatal: boolean;
}

export interface LogOptions {
  /** Writes the lines (default: to standard error). */
  readonly write?: (line: string) => void;
  /** Called with everything that is logged as an error or worse. */
  readonly onFailure?: ((failure: LoggedFailure) => void) | undefined;
  /** True: each line begins with its priority for the journal (default: when standard error is that). */
  readonly journal?: boolean;
}

/** Creates a log that writes JSON objects, or lines for people. `name` is the process's. */
export function createLog(name: string, { level, format }: Config["log"], options: LogOptions = {}): Log {
  const { write = toStderr, onFailure } = options;
  const journal = options.journal ?? (write === toStderr && stderrIsJournal());
  return pino({
    level,
    base: { service: name },
    hooks: {
      logMethod(args, method, at) {
        method.apply(this, args);
        if (at >= ERROR) onFailure?.(failureOf(args, at));
      },
    },
  }, {
    write(line: string) {
      const text = format === "json" ? line : textLine(line);
      write(journal ? priority(Number(/^{"level":(\d+)/.exec(line)?.[1])) + text : text);
    },
  });
}

/** The failure in the arguments of pino's methods: an error or fields, then a message; or the message alone. */
function failureOf([first, second]: readonly unknown[], level: number): LoggedFailure {
  const fatal = level >= FATAL;
  if (typeof first !== "object" || first === null) {
    return { message: String(first), error: undefined, fields: {}, fatal };
  }
  const { err: error, ...fields } = first instanceof Error ? { err: first } : first as { err?: unknown };
  return { message: String(second ?? messageOf(error)), error, fields, fatal };
}

/** True for the first time of a key and then once a minute: for log lines that one cause could repeat endlessly. */
export class OncePerMinute {
  private readonly last = new Map<string, number>();

  /** @param now Milliseconds of a monotonic clock. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  due(key: string): boolean {
    const now = this.now(), last = this.last.get(key);
    if (last !== undefined && now - last < 60_000) return false;
    // Keys may come from the network, so old ones are dropped to bound the memory.
    if (this.last.size >= 1000) this.last.clear();
    this.last.set(key, now);
    return true;
  }
}

/** `12:01:02.003 INFO  dnsd: answering on 127.0.0.1:53 (names=3)`. */
function textLine(line: string): string {
  const { level, time, service, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const error = err as { message?: string; stack?: string } | undefined;
  const fields = Object.entries(rest).map(([key, value]) =>
    `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
  );
  const text = error?.message === undefined || error.message === msg ? msg : `${msg}: ${error.message}`;
  const stamp = new Date(Number(time)).toISOString().slice(0, 23).replace("T", " ");
  const tail = fields.length ? ` (${fields.join(" ")})` : "";
  // Text from the network or a file must not control the reader's terminal.
  return `${stamp} ${labels[Number(level)] ?? level} ${service}: ${printable(String(text))}${
    printable(tail)
  }\n`;
}

const encoder = new TextEncoder();

function toStderr(line: string): void {
  let bytes = encoder.encode(line);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
}
