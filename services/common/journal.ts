/**
 * Adds priorities for systemd's journal (sd-daemon(3)): `<4>` before a line makes it a warning for `journalctl -p
 * warning`.
 */

/** syslog(3)'s levels. */
const CRITICAL = 2, ERROR = 3, WARNING = 4, INFO = 6, DEBUG = 7;

/** True when standard error is the stream that systemd has connected to the journal. */
export function stderrIsJournal(): boolean {
  const named = Deno.env.get("JOURNAL_STREAM");
  if (!named) return false;
  try {
    // A process whose standard error was redirected later inherits the variable all the same.
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    return named === `${dev}:${ino}`;
  } catch {
    return false; // Without /proc the lines are as they are elsewhere.
  }
}

/** The prefix of a line for the journal. `level` is pino's: 30 for info, 40 for a warning. */
export function priority(level: number): string {
  const of = level >= 60
    ? CRITICAL
    : level >= 50
    ? ERROR
    : level >= 40
    ? WARNING
    : level >= 30
    ? INFO
    : DEBUG;
  return `<${of}>`;
}

/** The prefix of the line that says why a process ends; empty where standard error is not the journal. */
export function errorPriority(): string {
  return stderrIsJournal() ? priority(50) : "";
}
