import assert from "node:assert/strict";
import { Counter, Durations, Gauge, Registry } from "./metrics.ts";
import { openMetricsText, prefersOpenMetrics } from "./openmetrics.ts";

const span = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7", traceFlags: 1 };

/** One metric of each kind. */
function setUp(hasExemplars: boolean) {
  const registry = new Registry(), registers = [registry];
  new Gauge({ name: "lab_up", help: 'Says "up"\nor not.', labelNames: ["path"], registers })
    .set({ path: 'C:\\"a"' }, -Infinity);
  new Counter({ name: "lab_asked_total", help: "Questions.", registers }).inc(3);
  const seconds = new Durations(
    { name: "lab_seconds", help: "How long.", labelNames: ["kind"], buckets: [0.5, 1], registers },
    hasExemplars,
  );
  seconds.observe({ kind: "some" }, 0.25);
  seconds.observe({ kind: "some" }, 0.75, span);
  seconds.observe({ kind: "some" }, 2, span);
  return registry;
}

Deno.test("OpenMetrics' text has a trace's id beside the bucket that it was observed in, and ends with EOF", async () => {
  const text = await openMetricsText(setUp(true));
  const when = String.raw`\d+(\.\d+)?`, trace = `# {trace_id="${span.traceId}"}`;
  assert.equal(
    text.replaceAll(new RegExp(`(?<= # .*) ${when}$`, "gm"), " NOW"),
    String.raw`# TYPE lab_up gauge
# HELP lab_up Says \"up\"\nor not.
lab_up{path="C:\\\"a\""} -Inf
# TYPE lab_asked counter
# HELP lab_asked Questions.
lab_asked_total 3
# TYPE lab_seconds histogram
# HELP lab_seconds How long.
lab_seconds_bucket{le="0.5",kind="some"} 1
lab_seconds_bucket{le="1.0",kind="some"} 2 ${trace} 0.75 NOW
lab_seconds_bucket{le="+Inf",kind="some"} 3 ${trace} 2 NOW
lab_seconds_sum{kind="some"} 3
lab_seconds_count{kind="some"} 3
# EOF
`,
  );
});

Deno.test("Prometheus' plain text is the same with exemplars and without, also after OpenMetrics' was asked for", async () => {
  const plain = setUp(false), traced = setUp(true), wanted = await plain.metrics();
  assert.equal(await traced.metrics(), wanted);
  await openMetricsText(traced);
  assert.equal(await traced.metrics(), wanted);
  assert.doesNotMatch(await openMetricsText(plain), /trace_id/);
});

Deno.test("OpenMetrics' text is for clients that ask for it, as Prometheus does", () => {
  for (
    const accept of [
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
      "text/plain, application/openmetrics-text",
    ]
  ) assert.equal(prefersOpenMetrics(accept), true, accept);
  assert.equal(prefersOpenMetrics(undefined), false);
  for (
    const accept of [
      "",
      "*/*",
      "text/plain",
      "application/openmetrics-text;q=0",
      "application/openmetrics-text;q=0.1,text/plain",
      "application/openmetrics-text;q=x",
      "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    ]
  ) assert.equal(prefersOpenMetrics(accept), false, accept);
});
