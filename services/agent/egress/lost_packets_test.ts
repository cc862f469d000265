import { strict as assert } from "node:assert";
import { LostPackets } from "./lost_packets.ts";

const counted = (begun: number, refused: number, passed: number) =>
  new Map(Object.entries({ begun, refused, passed }));

Deno.test("packets are lost that neither left the host nor were refused by the agent's own rules", () => {
  const packets = new LostPackets();
  // What was before the agent's start is not known to be lost.
  packets.take(counted(10, 0, 0), 0);
  packets.take(counted(10, 0, 0), 5_000);
  assert.equal(packets.recent(5_000), undefined);
  packets.take(counted(20, 2, 8), 10_000);
  assert.equal(packets.recent(10_000), undefined);
  packets.take(counted(30, 2, 14), 15_000);
  assert.deepEqual(packets.recent(15_000), { lost: 4, sent: 10 });
  packets.take(counted(40, 2, 24), 20_000);
  assert.deepEqual(packets.recent(20_000), { lost: 4, sent: 10 }, "it is told for a while");
  assert.equal(packets.recent(30_000), undefined);
  assert.deepEqual([packets.lost, packets.passed], [4, 24]);
});

Deno.test("packets that are under way while the counters are read are not lost, and a table that is made again counts from 0", () => {
  const packets = new LostPackets();
  packets.take(counted(0, 0, 0), 0);
  packets.take(counted(100_000, 0, 99_950), 1);
  assert.equal(packets.recent(1), undefined);
  packets.take(counted(5, 0, 5), 2);
  assert.deepEqual([packets.lost, packets.passed], [0, 99_955]);
  packets.reset();
  packets.take(counted(0, 0, 0), 3);
  packets.take(counted(1, 0, 0), 4);
  assert.deepEqual(packets.recent(4), { lost: 1, sent: 1 });
  packets.reset();
  assert.equal(packets.recent(4), undefined);
});
