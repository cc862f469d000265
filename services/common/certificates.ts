/**
 * Watches the validity of a process's certificates: each is reported in the log, at /readyz and in /metrics before it
 * expires.
 */
import { type Certificate, untimely } from "./certificate.ts";
import { labelledGauges, type Registry } from "./metrics.ts";
import type { Problem } from "./http_status.ts";

/** The certificates that one process presents or trusts. */
export class Certificates {
  readonly #all: Certificate[] = [];

  /** @param registry Gets a metric with each certificate's end. */
  constructor(registry: Registry, private readonly now: () => number = Date.now) {
    labelledGauges(
      registry,
      "strand_certificate_not_after_seconds",
      "When a certificate ends, in seconds since the epoch.",
      ["setting", "file", "subject"],
      () =>
        this.#all.map(({ field, file, subject, until }) =>
          [{ setting: field, file, subject }, Math.floor(until / 1000)] as const
        ),
    );
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
