/**
 * Reads a certificate's subject and dates, and whether it is valid now. Its metrics are in certificates.ts, which
 * clients do not load.
 */

/** One of a PEM file's certificates. */
export interface Certificate {
  /** The configuration's key, like `agent.tls.cert`. */
  readonly field: string;
  /** The key's name in messages, with its file and line or its variable. */
  readonly setting: string;
  readonly file: string;
  /** Like `CN=host1`. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

const DAY = 86_400_000;
/** How long before its end a certificate is reported, in ms. */
const SOON = 30 * DAY;

/**
 * Why a certificate is refused, or soon will be, as part of a sentence; undefined: it is valid for more than 30 days.
 */
export function untimely(
  { from, until }: Pick<Certificate, "from" | "until">,
  now: number,
): string | undefined {
  if (until < now) return `expired on ${day(until)}`;
  if (from > now) return `is not valid before ${day(from)}`;
  if (until - now > SOON) return undefined;
  const days = Math.floor((until - now) / DAY);
  return `expires on ${day(until)}, in ${days === 1 ? "1 day" : `${days} days`}`;
}

function day(time: number): string {
  return new Date(time).toISOString().replace(/:\d\d\.\d+Z$/, " UTC").replace("T", " ");
}
