import assert from "node:assert/strict";
import { inSpan, isTracing, parentOf, parseTraceparent, startSpan, traceparentOf } from "./tracing.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736", spanId = "00f067aa0ba902b7";

Deno.test("without OTEL_DENO no span is made, and steps run as they are", async () => {
  assert.equal(isTracing, false);
  assert.equal(startSpan("step"), undefined);
  assert.equal(traceparentOf(undefined), undefined);
  assert.equal(parentOf(`00-${traceId}-${spanId}-01`), undefined);
  assert.deepEqual(await inSpan("step", {}, (span) => Promise.resolve([span])), [undefined]);
  await assert.rejects(inSpan("step", {}, () => Promise.reject(new Error("no"))), /^Error: no$/);
});

Deno.test("parseTraceparent() reads W3C's form, of later versions too, and nothing else", () => {
  const context = { traceId, spanId, traceFlags: 1 };
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), context);
  assert.deepEqual(parseTraceparent(`cc-${traceId}-${spanId}-01-more`), context);
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-00`), { ...context, traceFlags: 0 });
  for (
    const text of [
      "",
      `ff-${traceId}-${spanId}-01`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId}-${spanId}`,
      `00-${traceId}-${spanId}-011`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      ` 00-${traceId}-${spanId}-01`,
    ]
  ) assert.equal(parseTraceparent(text), undefined, text);
});

Deno.test("traceparentOf() is for spans that are exported alone", () => {
  const span = (traceFlags: number) => ({
    spanContext: () => ({ traceId, spanId, traceFlags }),
    setAttribute() {},
    addEvent() {},
    setStatus() {},
    end() {},
  });
  assert.equal(traceparentOf(span(1)), `00-${traceId}-${spanId}-01`);
  assert.equal(traceparentOf(span(3)), `00-${traceId}-${spanId}-01`);
  assert.equal(traceparentOf(span(0)), undefined);
});
