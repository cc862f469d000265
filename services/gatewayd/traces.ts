/**
 * Spans of DHCP messages that are answered at ports. A client's REQUEST is in the trace of its DISCOVER, and what follows from its
 * lease, on whatever host, in that of the REQUEST.
 */
import { KIND, type Span, type SpanContext, startSpan } from "../common/tracing.ts";
import { typeNames } from "../dhcpd/counters.ts";
import { Type } from "../dhcpd/numbers.ts";
import type { DhcpQuery } from "../overlay_names/gateway_messages.ts";

/** How long a client may take to request what it was offered, in ms. */
const PATIENCE = 60_000;
/** The most offers that are remembered. */
const MOST = 4096;

/** The offer to a client, by the span of its DISCOVER. */
interface Offered {
  readonly span: SpanContext;
  readonly at: number;
}

/** Makes the spans of DHCP messages, and remembers those of DISCOVERs that were answered for their REQUESTs. */
export class DhcpTraces {
  /** By network and MAC, oldest first. */
  readonly #offered = new Map<string, Offered>();

  /** @param start Makes the spans; for tests. */
  constructor(private readonly start: typeof startSpan = startSpan) {}

  /** Begins the span of a message when the kernel received it. */
  begin({ network, mac, type, port, server, received }: DhcpQuery): Span | undefined {
    const offered = server === undefined ? undefined : this.#offered.get(`${network} ${mac}`);
    const isRecent = offered && performance.now() - offered.at < PATIENCE;
    return this.start(`DHCP ${typeNames[type] ?? "message"}`, {
      parent: isRecent ? offered.span : undefined,
      kind: KIND.server,
      ...Number.isFinite(received) && { startTime: received },
      attributes: { "strand.network": network, "strand.mac": mac, "strand.port": port },
    });
  }

  /** Ends it when the answer is sent. */
  answered(span: Span, { network, mac, type }: Pick<DhcpQuery, "network" | "mac" | "type">): void {
    span.end();
    const client = `${network} ${mac}`;
    this.#offered.delete(client);
    if (type !== Type.discover) return;
    this.#offered.set(client, { span: span.spanContext(), at: performance.now() });
    const [oldest] = this.#offered.keys();
    if (this.#offered.size > MOST && oldest !== undefined) this.#offered.delete(oldest);
  }
}
