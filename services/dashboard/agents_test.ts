import assert from "node:assert/strict";
import { readMetrics } from "./agents.ts";

Deno.test("an agent's metrics say which hosts it reaches, and what it has mended", () => {
  const { reaches, mended } = readMetrics([
    "# TYPE agent_peer_reachable gauge",
    'agent_peer_reachable{peer="h2"} 1',
    'agent_peer_reachable{peer="a \\"b\\" \\\\c"} 0',
    "agent_peers 2",
    'agent_drift_repaired_total{op="arp"} 3',
    'agent_drift_repaired_total{op="fdb"} 4',
  ].join("\n"));
  assert.deepEqual([...reaches], [["h2", true], ['a "b" \\c', false]]);
  assert.equal(mended, 7);
  assert.deepEqual([...readMetrics("").reaches], []);
});
