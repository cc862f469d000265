import assert from "node:assert/strict";
import { readCounts } from "./measures.ts";

const of = (text: string) => {
  const { service, counts } = readCounts(text);
  return { service, ...Object.fromEntries(counts) };
};

Deno.test("counts are the sums of what a service's metrics have of each measure, and 0 where nothing has happened yet", () => {
  const nexd = `# HELP strand_info Always 1.
strand_info{service="nexd",version="1"} 1
nexd_call_seconds_count{method="/nex.Nex/\\"x\\"",code="OK"} 5
nexd_call_seconds_count{method="a",code="NOT_FOUND"} 2
nexd_call_seconds_count{method="a",code="INTERNAL"} 1
nexd_call_seconds_bucket{le="1",method="a",code="OK"} 99
dnsd_events_total{event="queries"} 1000
`;
  assert.deepEqual(of(nexd), { service: "nexd", requests: 8, errors: 1 });
  assert.deepEqual(of('dnsd_events_total{event="queries"} 1e3\nstrand_info{version="1",service="dnsd"} 1'), {
    service: "dnsd",
    queries: 1000,
    errors: 0,
  });
  assert.deepEqual(of('strand_info{service="agent"} 1\nagent_reconcile_failures_total NaN\n'), {
    service: "agent",
    leases: 0,
    requests: 0,
    errors: 0,
  });
});

Deno.test("what is no service of Strand is refused", () => {
  for (const text of ["", "<html>", 'strand_info{service="<b>"} 1', 'up{service="nexd"} 1']) {
    assert.throws(() => readCounts(text), /what answers there is no service of Strand/);
  }
});
