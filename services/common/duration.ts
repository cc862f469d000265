/** Parses durations as Go programs write them. */

/** Milliseconds in each of Go's units of time. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Reads a time of zero or more as Go writes it, `1m30s`, `1.5h`, `0`, in milliseconds; undefined when it is none. */
export function tryParseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined;
  const parts = text.matchAll(/([\d.]+)([^\d.]+)/g);
  return [...parts].reduce((sum, [, number, unit = ""]) => sum + Number(number) * (UNITS[unit] ?? 0), 0);
}
