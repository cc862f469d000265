/** Formats times and durations for people. */

/** The time until then, like `3 h 20 min`. @param time In RFC 3339. @param now In ms since the epoch. */
export function timeLeft(time: string, now: number): string {
  return duration(Math.max(0, Date.parse(time) - now));
}

/** A duration in ms, by its two largest units. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]] as const;
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  let rest = seconds;
  return parts.slice(first, first + 2).flatMap(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count ? `${count} ${unit}` : [];
  }).join(" ");
}
