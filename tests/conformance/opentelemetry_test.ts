/** OpenTelemetry as docs/CONFIGURATION.md describes it: Deno's own exporter, switched on by the environment. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { freePort } from "../lab/free_port.ts";
import { labEtcd } from "../lab/etcd.ts";
import { run, strandCommand } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";

interface Span {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** 2: of a server, 3: of a client. */
  readonly kind: number;
  readonly attributes: readonly Attribute[];
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

const textOf = (attributes: readonly Attribute[], key: string) =>
  attributes.find((attribute) => attribute.key === key)?.value.stringValue ?? "";

/** An OTLP/HTTP receiver on loopback, which keeps what arrives as JSON. */
class Receiver implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** `SERVICE METRIC`. */
  readonly metrics = new Set<string>();
  /** `PATH CONTENT-TYPE`. */
  readonly requests = new Set<string>();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url), type = request.headers.get("content-type");
      this.requests.add(`${pathname} ${type}`);
      if (type === "application/json") this.#keep(await request.json());
      else await request.bytes();
      return Response.json({});
    },
  );

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  // deno-lint-ignore no-explicit-any -- it is what the exporter sends.
  #keep({ resourceSpans = [], resourceMetrics = [] }: any): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = textOf(resource.attributes, "service.name");
      for (const { spans } of scopeSpans) for (const span of spans) this.spans.push({ service, ...span });
    }
    for (const { resource, scopeMetrics } of resourceMetrics) {
      const service = textOf(resource.attributes, "service.name");
      for (const { metrics } of scopeMetrics) {
        for (const { name } of metrics) this.metrics.add(`${service} ${name}`);
      }
    }
  }

  /** The first span of a service's requests to a path. */
  span(service: string, kind: number, path: string): Span | undefined {
    return this.spans.find((span) =>
      span.service === service && span.kind === kind && textOf(span.attributes, "url.path") === path
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** The variables of the command that the page has for nexd, for another receiver. */
function documented(receiver: string): Record<string, string> {
  const page = Deno.readTextFileSync(fileURLToPath(new URL("../../docs/CONFIGURATION.md", import.meta.url)));
  const line = /^OTEL_DENO.* strand nexd$/m.exec(page)?.[0] ?? "";
  const env = Object.fromEntries(
    [...line.matchAll(/(OTEL_\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  );
  assert.equal(env["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://127.0.0.1:4318");
  return { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: receiver };
}

Deno.test("a collector gets spans of nex, nexd and its calls to etcd, in one trace from nex to nexd, and V8's metrics", async () => {
  await using etcd = await labEtcd();
  await using receiver = new Receiver();
  await using services = await LabServices.create(etcd.endpoint);
  const env = { ...documented(receiver.url), OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
  // Of nexd alone: a process that comes to its end while the receiver is taking metrics hangs, which is a fault of Deno's.
  await services.start("nexd", { ...env, OTEL_METRIC_EXPORT_INTERVAL: "500" });
  const nex = strandCommand(["nex", "-s", `127.0.0.1:${services.nexdPort}`, "apply", "-"]);
  const { stdout } = await run(nex, {
    env: { ...env, OTEL_SERVICE_NAME: "nex" },
    stdin: "kind: Network\nname: mini\nsubnet4: 10.0.0.0/24\n",
  });
  assert.equal(stdout, "network mini created\n");
  await until("metrics of nexd", () => receiver.metrics.has("nexd v8js.memory.heap.size"));
  const asked = () => receiver.span("nex", 3, "/nex.Nex/Apply");
  const answered = () => receiver.span("nexd", 2, "/nex.Nex/Apply");
  await until(
    "spans of nex, nexd and etcd",
    (see) => see([asked(), answered(), receiver.span("nexd", 3, "/etcdserverpb.KV/Txn")]).every(Boolean),
  );
  assert.equal(answered()?.traceId, asked()?.traceId);
  assert.equal(answered()?.parentSpanId, asked()?.spanId);
});

Deno.test("the protocol is http/protobuf unless it is set, and a service runs as usual while no collector answers", async () => {
  await using etcd = await labEtcd();
  await using receiver = new Receiver();
  await using services = await LabServices.create(etcd.endpoint);
  const env = { ...documented(receiver.url), OTEL_METRIC_EXPORT_INTERVAL: "500" };
  await services.start("nexd", { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${freePort()}` });
  assert.equal(await services.nex("get", "networks"), "");
  await services.start("dnsd", env);
  await until(
    "dnsd sends protobuf",
    (see) => see([...receiver.requests]).some((request) => request.endsWith(" application/x-protobuf")),
  );
});
