import assert from "node:assert/strict";
import type { Span, startSpan } from "../common/tracing.ts";
import { Type } from "../dhcpd/numbers.ts";
import type { DhcpQuery } from "../overlay_names/gateway_messages.ts";
import { DhcpTraces } from "./traces.ts";

function setUp() {
  const told: string[] = [];
  let spans = 0;
  const start: typeof startSpan = (name, options) => {
    const own = `${++spans}`, parent = options?.parent?.spanId ?? "none";
    told.push(`${own} ${name} at ${options?.startTime} under ${parent}`);
    return {
      spanContext: () => ({ traceId: "1".repeat(32), spanId: own, traceFlags: 1 }),
      setAttribute() {},
      addEvent() {},
      setStatus() {},
      end: () => told.push(`${own} end`),
    };
  };
  const traces = new DhcpTraces(start);
  const query = (more: Partial<DhcpQuery>): DhcpQuery => ({
    ...{ kind: "ask", network: "blue", question: 1, port: "tap0", type: Type.discover, ciaddr: 0, source: 0 },
    ...{ mac: "52:54:00:00:00:01", unicast: false, received: 5 },
    ...more,
  });
  const begun = (more: Partial<DhcpQuery> = {}) => traces.begin(query(more)) as Span;
  const answered = (more: Partial<DhcpQuery> = {}) => traces.answered(begun(more), query(more));
  return { begun, answered, told };
}

Deno.test("a REQUEST for what was offered is in the trace of the DISCOVER that was answered, and no other message is", () => {
  const { begun, answered, told } = setUp();
  const request = { type: Type.request, server: 1 }, other = "52:54:00:00:00:02";
  begun({ mac: other });
  begun({ ...request, mac: other });
  answered();
  answered({ type: Type.request });
  answered();
  answered(request);
  begun(request);
  assert.deepEqual(told.filter((line) => !line.endsWith("end")), [
    "1 DHCP discover at 5 under none",
    "2 DHCP request at 5 under none",
    "3 DHCP discover at 5 under none",
    "4 DHCP request at 5 under none",
    "5 DHCP discover at 5 under none",
    "6 DHCP request at 5 under 5",
    "7 DHCP request at 5 under none",
  ]);
  assert.deepEqual(told.filter((line) => line.endsWith("end")), ["3 end", "4 end", "5 end", "6 end"]);
});
