/**
 * The way of a created endpoint on each host of its network, as a span: from the event in etcd's watch until the kernel has what it
 * says. Its parent is the span in which the endpoint was created, perhaps on another host, of which the record tells.
 */
import { failed, KIND, parentOf, type Span, type SpanContext, startSpan } from "../../common/tracing.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";

/** The functions that make and read spans; for tests. */
export interface TracesOptions {
  readonly start?: typeof startSpan;
  readonly read?: (traceparent: string | undefined) => SpanContext | undefined;
}

/** One network's spans on this host, by the endpoints' ids. */
export class EndpointTraces {
  /** Of endpoints whose change waits to be applied, and of those whose change is being applied. */
  readonly #waiting = new Map<string, Span>();
  readonly #applied = new Map<string, Span>();
  #isPlanned = false;
  readonly #start: typeof startSpan;
  readonly #read: typeof parentOf;

  constructor(private readonly network: string, private readonly host: string, options: TracesOptions = {}) {
    this.#start = options.start ?? startSpan;
    this.#read = options.read ?? parentOf;
  }

  /** Begins the spans of endpoints that were just created. */
  notice(changes: readonly EndpointChange[]): void {
    for (const { before, after } of changes) {
      // The record keeps its field when it is written again, which is not what the trace is of.
      if (before || !after || after.created !== after.modified) continue;
      const parent = this.#read(after.record.strand_traceparent);
      const span = parent && this.#start("apply endpoint", {
        parent,
        kind: KIND.consumer,
        attributes: {
          "host.name": this.host,
          "strand.network": this.network,
          "strand.endpoint": after.id,
          "strand.revision": after.modified,
        },
      });
      if (span) this.#waiting.set(after.id, span);
    }
  }

  /** The changes that were noticed are being applied from now on. @returns one of the spans; undefined where there are none */
  begin(): SpanContext | undefined {
    for (const [id, span] of this.#waiting) this.#applied.set(id, span);
    this.#waiting.clear();
    this.#isPlanned = false;
    this.step("begun");
    const [span] = this.#applied.values();
    return span?.spanContext();
  }

  /** Notes when something was reached by what is being applied. */
  step(name: string): void {
    for (const span of this.#applied.values()) span.addEvent(name);
  }

  /** The first operations that are to be carried out are known. */
  planned(): void {
    if (!this.#isPlanned) this.step("planned");
    this.#isPlanned = true;
  }

  /**
   * The kernel has what these changes say.
   * @param problem Why an endpoint could not be set up; undefined: it was
   */
  done(problem: (endpoint: string) => string | undefined): void {
    for (const [id, span] of this.#applied) {
      const why = problem(id);
      if (why !== undefined) failed(span, why);
      span.end();
    }
    this.#applied.clear();
  }

  /** They could not be applied, and are tried again. */
  retry(): void {
    this.step("failed");
    for (const [id, span] of this.#applied) this.#waiting.set(id, span);
    this.#applied.clear();
  }

  /** Ends the spans of changes that will not be applied any more. */
  close(): void {
    this.begin();
    this.done(() => "the agent has stopped, or let go of the network, before");
  }
}
