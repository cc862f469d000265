import assert from "node:assert/strict";
import { RefusedConnections } from "./refused_connections.ts";

Deno.test("refused packets are summed over tables that are made again, and their networks named for a minute", () => {
  const counts = new Map<string, number | undefined>([["blue", 0], ["red", undefined]]);
  const refused = new RefusedConnections(() =>
    [...counts].map(([id, count]) => ({ id, refusedConnections: () => count }))
  );
  refused.read(0);
  assert.deepEqual([refused.total, refused.recent(0)], [0, []]);
  counts.set("blue", 7);
  refused.read(1000);
  assert.deepEqual([refused.total, refused.recent(60_999)], [7, ["blue"]]);
  counts.set("blue", 2);
  refused.read(50_000);
  assert.deepEqual([refused.total, refused.recent(109_999), refused.recent(110_000)], [9, ["blue"], []]);
  counts.delete("blue");
  refused.read(51_000);
  assert.deepEqual([refused.total, refused.recent(51_000)], [9, []]);
});
