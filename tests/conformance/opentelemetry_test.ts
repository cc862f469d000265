/** OpenTelemetry as docs/CONFIGURATION.md describes it: Deno's own exporter, switched on by the environment. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { withDocker } from "../docker/docker_host.ts";
import { freePort } from "../lab/free_port.ts";
import { labEtcd } from "../lab/etcd.ts";
import { run, strandCommand } from "../lab/host.ts";
import { requestIn } from "../lab/http_in.ts";
import { OtlpReceiver, type Span } from "../lab/otlp_receiver.ts";
import { METRICS_PORT } from "../lab/overlay_api.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { LabServices } from "../lab/services.ts";
import { mini } from "../lab/specs.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";

/** The first span of a service's requests to a path. */
function requestSpan({ spans }: OtlpReceiver, service: string, kind: number, path: string): Span | undefined {
  return spans.find((span) =>
    span.service === service && span.kind === kind && span.attributes.get("url.path") === path
  );
}

/** The variables of the command that the page has for nexd, for another receiver. */
function documented(receiver: string): Record<string, string> {
  const page = Deno.readTextFileSync(fileURLToPath(new URL("../../docs/CONFIGURATION.md", import.meta.url)));
  const line = /^OTEL_DENO.* strand nexd$/m.exec(page)?.[0] ?? "";
  const env = Object.fromEntries(
    [...line.matchAll(/(OTEL_\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  );
  assert.equal(env["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://127.0.0.1:4318");
  // Spans are sent every 5 s otherwise.
  return { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: receiver, OTEL_BSP_SCHEDULE_DELAY: "200" };
}

Deno.test("a collector gets spans of nex, nexd and its calls to etcd, in one trace from nex to nexd, and V8's metrics", async () => {
  await using etcd = await labEtcd();
  await using receiver = new OtlpReceiver();
  await using services = await LabServices.create(etcd.endpoint);
  const env = { ...documented(receiver.url), OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
  // Of nexd alone: a process that comes to its end while the receiver is taking metrics hangs, which is a fault of Deno's.
  await services.start("nexd", { ...env, OTEL_METRIC_EXPORT_INTERVAL: "500" });
  const nex = strandCommand(["nex", "-s", `127.0.0.1:${services.nexdPort}`, "apply", "-"]);
  const { stdout } = await run(nex, {
    env: { ...env, OTEL_SERVICE_NAME: "nex" },
    stdin: mini,
  });
  assert.equal(stdout, "network mini created\n");
  await until("metrics of nexd", () => receiver.metrics.has("nexd v8js.memory.heap.size"));
  const requested = () => requestSpan(receiver, "nex", 3, "/nex.Nex/Apply");
  const answered = () => requestSpan(receiver, "nexd", 2, "/nex.Nex/Apply");
  await until(
    "spans of nex, nexd and etcd",
    (see) =>
      see([requested(), answered(), requestSpan(receiver, "nexd", 3, "/etcdserverpb.KV/Txn")]).every(Boolean),
  );
  assert.equal(answered()?.traceId, requested()?.traceId);
  assert.equal(answered()?.parentSpanId, requested()?.spanId);
  const command = () => receiver.spans.find(({ service, name }) => service === "nex" && name === "nex apply");
  await until("the command's own span", () => command() !== undefined);
  assert.equal(command()?.parentSpanId, "");
  const requests = receiver.spans.filter(({ service, kind }) => service === "nex" && kind === 3);
  assert.deepEqual(
    new Set(requests.map(({ parentSpanId }) => parentSpanId)),
    new Set([command()?.spanId]),
    "each of its requests is its child",
  );
  const headers = { accept: "application/openmetrics-text" };
  const metrics = await (await fetch(services.metricsOf("nexd"), { headers })).text();
  const exemplar = `nexd_call_seconds_bucket\\{.*\\} \\d+ # \\{trace_id="${requested()?.traceId}"\\}`;
  assert.match(metrics, new RegExp(`^${exemplar}`, "m"));
});

Deno.test("the protocol is http/protobuf unless it is set, and a service runs as usual while no collector answers", async () => {
  await using etcd = await labEtcd();
  await using receiver = new OtlpReceiver();
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

/** A trace that a caller has begun, by its ids. */
const CALLER = { trace: "0af7651916cd43dd8448eb211c80319c", span: "b7ad6b7169203331" };

Deno.test("an endpoint, and a lease behind a port, each have one trace that reaches the kernel of every host", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2, running: 0 });
  const { lab } = it, [one, two] = [it.host(1), it.host(2)];
  const { hostname } = new URL(lab.etcd.endpoint);
  await using receiver = new OtlpReceiver({ path: lab.store.path, hostname });
  const env = (service: string, host: OverlayHost) => ({
    ...documented(receiver.url),
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_SERVICE_NAME: service,
    OTEL_RESOURCE_ATTRIBUTES: `host.name=${host.name}`,
  });
  await Promise.all([one.start({ ...withDocker(one), ...env("agent", one) }), two.start(env("agent", two))]);
  await it.start(one, env("gatewayd", one));
  const blue = await it.network("blue");
  await two.attach(blue);

  await t.step("POST /endpoints follows its caller's trace", async () => {
    const container = await one.container();
    const { status, body } = await one.api.request({
      method: "POST",
      path: "/endpoints?wait=30s",
      headers: { traceparent: `00-${CALLER.trace}-${CALLER.span}-01` },
      body: JSON.stringify({
        network_id: blue,
        activate: true,
        activate_params: { ns_handle_path: container.path },
      }),
    });
    assert.equal(status, 201, body);
    const { endpoint } = JSON.parse(body);
    assert.equal("strand_traceparent" in endpoint, false);
    const steps = [
      `agent@h1 POST < ${CALLER.span}`,
      "agent@h1 create endpoint < POST",
      "agent@h1 inspect namespace < create endpoint",
      "agent@h1 write to etcd < create endpoint",
      "agent@h1 apply endpoint < create endpoint",
      "agent@h2 apply endpoint < create endpoint",
      "agent@h1 wait for hosts < create endpoint",
    ];
    const trace = await spansOf(receiver, CALLER.trace, steps);
    assert.equal(trace.length, steps.length);
    reachesKernels(trace, endpoint.id);
  });

  await t.step(
    "Prometheus finds that trace by the exemplars of other hosts' latencies, and plain text has none",
    async () => {
      const plain = await two.api.status("/metrics");
      assert.equal(plain.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
      assert.doesNotMatch(plain.body, /trace_id|# EOF/);
      const open = await requestIn(two.namespace, { hostname: "127.0.0.1", port: METRICS_PORT }, {
        path: "/metrics",
        headers: { accept: "application/openmetrics-text" },
      });
      const families = [...open.body.matchAll(/^# TYPE (\S+)/gm)].map(([, family]) => family);
      assert.equal(
        new Set(families).size,
        families.length,
        "each is there once, without the suffix of counters too",
      );
      await using prometheus = await scrape(two);
      await until("the exemplar is there", async (see) => {
        const found = await prometheus.exemplars("agent_reconcile_seconds_bucket");
        see([found, prometheus.process.tail()]);
        return found.includes(CALLER.trace);
      });
    },
  );

  await t.step(
    "strand attach and sand-agent-cli are in the traces of what they make and delete",
    async () => {
      const { path } = await one.container();
      const command = (service: string, ...args: string[]) =>
        run(one.host.enter(strandCommand(args)), { env: { ...one.env, ...env(service, one) } });
      const traceOf = async (service: string) => {
        const its = () => receiver.spans.find((span) => span.service === service && span.parentSpanId === "");
        await until(`the span of ${service}`, () => its() !== undefined);
        return its()?.traceId ?? "";
      };
      const { stdout } = await command("attach", "attach", "blue", "--ns", path, "-o", "json");
      const { endpoint } = JSON.parse(stdout);
      const made = await spansOf(receiver, await traceOf("attach"), [
        "attach@h1 strand attach < ",
        "agent@h1 PUT < strand attach",
        "agent@h1 create endpoint < PUT",
        "agent@h1 write to etcd < create endpoint",
        "agent@h1 apply endpoint < create endpoint",
        "agent@h2 apply endpoint < create endpoint",
      ]);
      reachesKernels(made, endpoint.id);
      await command("delete", "sand-agent-cli", "endpoint-delete", "--endpoint", endpoint.id);
      await spansOf(receiver, await traceOf("delete"), [
        "delete@h1 sand-agent-cli endpoint-delete < ",
        "agent@h1 DELETE < sand-agent-cli endpoint-delete",
        "agent@h1 delete endpoint < DELETE",
        "agent@h1 write to etcd < delete endpoint",
        "agent@h1 remove from kernel < delete endpoint",
      ]);
    },
  );

  await t.step("Docker's endpoints, and their deletions, follow the trace of Docker's call", async () => {
    const NetworkID = "d".repeat(64), EndpointID = "e".repeat(64);
    const call = async (method: string, what: object, trace: string) => {
      const { status, body } = await requestIn(one.namespace, { hostname: "127.0.0.1", port: 9998 }, {
        method: "POST",
        path: `/NetworkDriver.${method}`,
        headers: { traceparent: `00-${trace}-${CALLER.span}-01` },
        body: JSON.stringify({ NetworkID, EndpointID, ...what }),
      });
      assert.equal(status, 200, body);
      assert.doesNotMatch(body, /Err/);
    };
    const traces = ["1", "2", "3"].map((digit) => digit.repeat(32)),
      [first = "", second = "", third = ""] = traces;
    const Options = { "com.docker.network.generic": { "sand-id": blue } };
    await call("CreateNetwork", { Options, IPv4Data: [], IPv6Data: [] }, first);
    await call("CreateEndpoint", { Options: {}, Interface: {} }, second);
    await spansOf(receiver, second, [
      `agent@h1 POST < ${CALLER.span}`,
      "agent@h1 create endpoint < POST",
      "agent@h1 write to etcd < create endpoint",
      "agent@h1 apply endpoint < create endpoint",
      "agent@h2 apply endpoint < create endpoint",
    ]);
    await call("DeleteEndpoint", {}, third);
    await spansOf(receiver, third, [
      "agent@h1 delete endpoint < POST",
      "agent@h1 write to etcd < delete endpoint",
    ]);
  });

  await t.step("a lease is in the trace of its client's DISCOVER", async () => {
    const vm = await Machine.on(one, blue, "52:54:00:00:00:01");
    assert.notEqual((await vm.lease()).address, "");
    const [lease] = await it.leases(blue), id = `${lease?.["id"]}`;
    const isItsOn = (host: string) => (span: Span) =>
      span.host === host && span.name === "apply endpoint" && span.attributes.get("strand.endpoint") === id;
    await until("h2 has applied it", () => receiver.spans.some(isItsOn("h2")));
    const trace = await spansOf(receiver, receiver.spans.find(isItsOn("h2"))?.traceId ?? "", [
      "gatewayd@h1 DHCP discover < ",
      "agent@h1 answer DHCP < DHCP discover",
      "gatewayd@h1 DHCP request < DHCP discover",
      "agent@h1 answer DHCP < DHCP request",
      "agent@h1 write to etcd < answer DHCP",
      "agent@h1 apply endpoint < answer DHCP",
      "agent@h2 apply endpoint < answer DHCP",
    ]);
    reachesKernels(trace, id);
  });
});

/** Resolves with a trace that has all of these spans, each as `SERVICE@HOST NAME < PARENT'S NAME`. */
async function spansOf(receiver: OtlpReceiver, traceId: string, wanted: readonly string[]): Promise<Span[]> {
  const its = () => receiver.spans.filter((span) => span.traceId === traceId);
  await until(`trace ${traceId} is whole`, (see) => {
    const trace = its(), names = new Map(trace.map(({ spanId, name }) => [spanId, name]));
    const lines = trace.map(({ service, host, name, parentSpanId: parent }) =>
      `${service}@${host} ${name} < ${names.get(parent) ?? parent}`
    );
    see(lines.join("\n"));
    return wanted.every((span) => lines.includes(span));
  });
  return its();
}

/** Each host has applied what was written, not before it was written, step by step. */
function reachesKernels(trace: readonly Span[], endpoint: string): void {
  // One that lost against another host's is made again.
  const written = trace.find(({ name, attributes }) =>
    name === "write to etcd" && attributes.has("strand.revision")
  );
  const applied = trace.filter(({ name }) => name === "apply endpoint");
  assert.deepEqual(applied.map(({ attributes }) => attributes.get("host.name")).sort(), ["h1", "h2"]);
  for (const { attributes, start, end, events, status } of applied) {
    assert.equal(attributes.get("strand.endpoint"), endpoint);
    assert.equal(attributes.get("strand.revision"), written?.attributes.get("strand.revision"));
    assert(written && written.start < start && start < end);
    assert.deepEqual([events.slice(-3), status], [["begun", "hosts admitted", "planned"], 0]);
  }
}

/** Prometheus on a host, which scrapes its agent and keeps exemplars: the reference for what the agent's metrics say in OpenMetrics' form. */
async function scrape(host: OverlayHost) {
  const directory = await Deno.makeTempDir({ prefix: "strand-prometheus-" });
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: [{ job_name: "agent", static_configs: [{ targets: [`127.0.0.1:${METRICS_PORT}`] }] }],
  };
  // JSON is YAML.
  await Deno.writeTextFile(`${directory}/prometheus.yml`, JSON.stringify(config));
  const process = host.host.spawn([
    "prometheus",
    "--enable-feature=exemplar-storage",
    `--config.file=${directory}/prometheus.yml`,
    `--storage.tsdb.path=${directory}/data`,
    "--web.listen-address=127.0.0.1:9090",
    "--log.level=warn",
  ]);
  const get = (path: string) => requestIn(host.namespace, { hostname: "127.0.0.1", port: 9090 }, { path });
  return {
    process,
    /** The trace ids of a metric's exemplars. */
    async exemplars(metric: string): Promise<string[]> {
      if (!process.alive) throw new Error(`Prometheus has ended:\n${process.tail()}`);
      const answer = await get(`/api/v1/query_exemplars?query=${metric}&start=0&end=9999999999`).catch(() =>
        undefined
      );
      const { data = [] } = answer?.status === 200 ? JSON.parse(answer.body) : {};
      return data.flatMap(({ exemplars }: { exemplars: { labels: { trace_id: string } }[] }) =>
        exemplars.map(({ labels }) => labels.trace_id)
      );
    },
    async [Symbol.asyncDispose]() {
      await process.stop();
      await Deno.remove(directory, { recursive: true });
    },
  };
}
