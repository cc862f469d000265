/** Until when the certificates of a process hold: each is told of in time, by log, /readyz and /metrics. */
import { Gauge, type Registry } from "./metrics.ts";
import type { Problem } from "./http_status.ts";

/** One of a PEM file's certificates. */
export interface Certificate {
  /** The configuration's key: `agent.tls.cert`. */
  readonly field: string;
  /** What the key is called in a message, with file and line or its variable. */
  readonly setting: string;
  readonly file: string;
  /** Like `CN=host1`. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

const DAY = 86_400_000;
/** So long before its end a certificate is told of, in ms. */
const SOON = 30 * DAY;

/** Why a certificate is refused, or soon will be, as part of a sentence; undefined: it holds for more than 30 days. */
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

/** The certificates that one process shows or believes. */
export class Certificates {
  readonly #all: Certificate[] = [];

  /** @param registry gets a metric with the end of each */
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

  /** Looks after these too. @returns a sentence for each that is not in order now */
  add(certificates: readonly Certificate[]): string[] {
    this.#all.push(...certificates);
    return this.#troubles(certificates);
  }

  /** What is wrong with the first of those that are not in order. */
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
