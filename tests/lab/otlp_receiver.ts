/** An OpenTelemetry collector, as far as tests need one: it takes OTLP over HTTP, and keeps what comes as JSON. */
import { libc } from "../../ffi/libc.ts";
import { inNamespace, openNamespace } from "../../ffi/netns.ts";

export interface Span {
  /** service.name and host.name of its resource; "" for none. */
  readonly service: string;
  readonly host: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** "" for none. */
  readonly parentSpanId: string;
  /** 1: internal, 2: of a server, 3: of a client, 5: of a consumer. */
  readonly kind: number;
  /** In ns since the epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: ReadonlyMap<string, string | number>;
  /** In the order of their times. */
  readonly events: readonly string[];
  /** 2: it has failed. */
  readonly status: number;
}

interface Attribute {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly doubleValue?: number;
    readonly intValue?: string;
  };
}

const mapOf = (attributes: readonly Attribute[] = []) =>
  new Map(
    attributes.map(({ key, value: { stringValue, doubleValue, intValue } }) =>
      [key, stringValue ?? doubleValue ?? Number(intValue)] as const
    ),
  );

const textOf = (attributes: readonly Attribute[], key: string) => `${mapOf(attributes).get(key) ?? ""}`;

export class OtlpReceiver implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** `SERVICE METRIC`. */
  readonly metrics = new Set<string>();
  /** `PATH CONTENT-TYPE`. */
  readonly requests = new Set<string>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param inside Where it listens: the path of a namespace, and an address there; default: this one's loopback. */
  constructor(inside?: { readonly path: string; readonly hostname: string }) {
    const listen = () =>
      Deno.serve(
        { hostname: inside?.hostname ?? "127.0.0.1", port: 0, onListen() {} },
        (request) => this.#take(request),
      );
    if (!inside) {
      this.#server = listen();
      return;
    }
    const namespace = openNamespace(inside.path);
    try {
      this.#server = inNamespace(namespace, listen);
    } finally {
      libc.close(namespace);
    }
  }

  get url(): string {
    const { hostname, port } = this.#server.addr;
    return `http://${hostname}:${port}`;
  }

  async #take(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url), type = request.headers.get("content-type");
    this.requests.add(`${pathname} ${type}`);
    if (type === "application/json") this.#keep(await request.json());
    else await request.bytes();
    return Response.json({});
  }

  // deno-lint-ignore no-explicit-any -- it is what the exporter sends.
  #keep({ resourceSpans = [], resourceMetrics = [] }: any): void {
    for (const { resource: { attributes }, scopeSpans } of resourceSpans) {
      const service = textOf(attributes, "service.name"), host = textOf(attributes, "host.name");
      for (const { spans } of scopeSpans) {
        for (const span of spans) this.spans.push({ service, host, ...readSpan(span) });
      }
    }
    for (const { resource: { attributes }, scopeMetrics } of resourceMetrics) {
      const service = textOf(attributes, "service.name");
      for (const { metrics } of scopeMetrics) {
        for (const { name } of metrics) this.metrics.add(`${service} ${name}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

// deno-lint-ignore no-explicit-any -- it is what the exporter sends.
function readSpan(span: any): Omit<Span, "service" | "host"> {
  const { name, traceId, spanId, parentSpanId = "", kind, events = [], attributes, status } = span;
  const order = events.toSorted((a: { timeUnixNano: string }, b: { timeUnixNano: string }) =>
    Number(BigInt(a.timeUnixNano) - BigInt(b.timeUnixNano))
  );
  return {
    ...{ name, traceId, spanId, parentSpanId, kind },
    start: BigInt(span.startTimeUnixNano),
    end: BigInt(span.endTimeUnixNano),
    attributes: mapOf(attributes),
    events: order.map((event: { name: string }) => event.name),
    status: status?.code ?? 0,
  };
}
