import { pino } from "pino";
import type { Config } from "./config.ts";
import { printable } from "./refusal.ts";

/** pino's logger: `log.info({network: "mini"}, "pool exhausted")`. */
export type Log = pino.Logger;

const labels: Record<number, string> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO ",
  40: "WARN ",
  50: "ERROR",
  60: "FATAL",
};

/** A log on standard error: JSON objects, or lines that are easy on the eye. `name` is the process's. */
export function createLog(name: string, { level, format }: Config["log"], write = toStderr): Log {
  return pino({ level, base: { service: name } }, {
    write: format === "json" ? write : (line: string) => write(textLine(line)),
  });
}

/** True for the first time a key is seen and then once a minute: for lines that one cause could repeat for ever. */
export class OncePerMinute {
  private readonly last = new Map<string, number>();

  /** @param now Milliseconds on any clock that does not go back. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  due(key: string): boolean {
    const now = this.now(), last = this.last.get(key);
    if (last !== undefined && now - last < 60_000) return false;
    // Keys can come from the network: what is old goes, so that they cannot fill the memory.
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
  // What came from the network or a file must not draw on the reader's terminal.
  return `${stamp} ${labels[Number(level)] ?? level} ${service}: ${printable(String(text))}${
    printable(tail)
  }\n`;
}

const encoder = new TextEncoder();

function toStderr(line: string): void {
  let bytes = encoder.encode(line);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
}
