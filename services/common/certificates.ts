/**
 * Watches the validity of a process's certificates: each is reported in the log, at /readyz and in /metrics before it
 * expires.
 */
import { Gauge, type Registry } from "./metrics.ts";
import type { Problem } from "./http_status.ts";

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

/** The certificates that one process presents or trusts. */
export class Certificates {
  readonly #all: Certificate[] = [];

  /** @param registry Gets a metric with each certificate's end. */
  constructor(registry: Registry, private readonly now: () => number = Date.now) {
    const all = this.#all;
    new Gauge({
      name: "strand_certificate_not_after_seconds",
      help: "When a certificate ends, in seconds since the epoch.",
      labelNames: ["setting", "file", "subject"],
      registers: [registry],
      collect() {
        for (const { field, file, subject, until } of all) {
          this.set({ setting: field, file, subject }, Math.floor(until / 1000));
        }
      },
    });
  }

  /** Adds certificates. @returns a sentence for each that is invalid or expires soon */
  add(certificates: readonly Certificate[]): string[] {
    this.#all.push(...certificates);
    return this.#troubles(certificates);
  }

  /** The problem of the first certificate that is invalid or expires soon. */
  problem(): Problem | undefined {
    const [first, ...others] = this.#troubles(this.#all);
    if (first === undefined) return undefined;
    return {
      what: others.length ? `${others.length + 1} certificates are not in order, the first: ${first}` : first,
      fix: "put a new one in its place, and restart",
      blocks: false,
    };
  }

  #troubles(certificates: readonly Certificate[]): string[] {
    return certificates.flatMap((certificate) => {
      const { setting, file, subject } = certificate, why = untimely(certificate, this.now());
      return why === undefined ? [] : `${setting}: the certificate ${subject} in ${file} ${why}`;
    });
  }
}
