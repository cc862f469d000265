import assert from "node:assert/strict";
import { parseTraceparent, type startSpan } from "../../common/tracing.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { EndpointTraces } from "./traces.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736", parentId = "00f067aa0ba902b7";
const traceparent = `00-${traceId}-${parentId}-01`;

/** An endpoint as it was written at a revision, after it was created at another. */
const endpoint = (id: string, created: number, modified = created, text: string | undefined = traceparent) =>
  ({ id, created, modified, record: { strand_traceparent: text } }) as OverlayEndpoint;

/** Spans whose calls are collected, as `ENDPOINT CALL`. */
function setUp() {
  const told: string[] = [];
  let spans = 0;
  const start: typeof startSpan = (name, options) => {
    const id = `${options?.attributes?.["strand.endpoint"]}`,
      tell = (what: string) => void told.push(`${id} ${what}`);
    tell(`${name} in ${options?.parent?.traceId} under ${options?.parent?.spanId}`);
    const spanId = `${++spans}`.padStart(16, "0");
    return {
      spanContext: () => ({ traceId, spanId, traceFlags: 1 }),
      setAttribute() {},
      addEvent: tell,
      setStatus: ({ message }) => tell(`error: ${message}`),
      end: () => tell("end"),
    };
  };
  const read = (text: string | undefined) => text === undefined ? undefined : parseTraceparent(text);
  const traces = new EndpointTraces("blue", "h1", { start, read });
  return { traces, told, taken: () => told.splice(0) };
}

const begun = (id: string) => `${id} apply endpoint in ${traceId} under ${parentId}`;

Deno.test("a span lasts from the event of a created endpoint until it is applied, after retries too", () => {
  const { traces, taken } = setUp();
  traces.notice([{ before: undefined, after: endpoint("a", 7) }]);
  assert.deepEqual(traces.begin()?.traceId, traceId);
  traces.step("hosts admitted");
  traces.planned();
  traces.planned();
  // It is not what is being applied.
  traces.notice([{ before: undefined, after: endpoint("b", 8) }]);
  traces.retry();
  assert.deepEqual(taken(), [
    begun("a"),
    "a begun",
    "a hosts admitted",
    "a planned",
    begun("b"),
    "a failed",
  ]);
  traces.begin();
  traces.planned();
  traces.done((id) => id === "b" ? "its namespace is gone" : undefined);
  assert.deepEqual(taken().sort(), [
    "a begun",
    "a end",
    "a planned",
    "b begun",
    "b end",
    "b error: its namespace is gone",
    "b planned",
  ]);
  assert.equal(traces.begin(), undefined);
  traces.done(() => undefined);
  assert.deepEqual(taken(), []);
});

Deno.test("what is no creation, or has no trace that can be read, has no span", () => {
  const { traces, taken } = setUp();
  traces.notice([
    { before: endpoint("a", 7), after: endpoint("a", 7) },
    { before: endpoint("a", 7), after: undefined },
    { before: undefined, after: endpoint("a", 7, 8) },
    { before: undefined, after: endpoint("a", 7, 7, "") },
    { before: undefined, after: endpoint("a", 7, 7, "00-x-y-01") },
  ]);
  assert.equal(traces.begin(), undefined);
  assert.deepEqual(taken(), []);
});

Deno.test("an agent that stops ends the spans of what it has not applied", () => {
  const { traces, taken } = setUp();
  traces.notice([{ before: undefined, after: endpoint("a", 7) }]);
  traces.close();
  assert.deepEqual(taken().slice(1), [
    "a begun",
    "a error: the agent has stopped, or let go of the network, before",
    "a end",
  ]);
});
