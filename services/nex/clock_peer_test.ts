import assert from "node:assert/strict";
import { addSample, type ClockPeer, hasEnoughSamples, minimumLead } from "./clock_peer.ts";

function peer(every: number, ahead: number): ClockPeer {
  return { ahead: [ahead], behind: 0, revision: 5, every, process: {} };
}

Deno.test("isHeard(): a time from before says enough where it cannot be older than what is looked for", () => {
  assert.ok(hasEnoughSamples(peer(5_000, -4_000), 9));
  assert.ok(!hasEnoughSamples(peer(5_000, -16_000), 9));
  assert.ok(!hasEnoughSamples(peer(60_000, 0), 9), "it may have been published a minute ago");
  assert.ok(hasEnoughSamples(peer(60_000, 3_600_000), 4), "it came after this process's own");
});

Deno.test("leastAhead(): of the last three times the one that took least to arrive counts", () => {
  const other = peer(5_000, 7_000);
  for (const ahead of [-9_000, -20, -30]) addSample(other, ahead);
  assert.equal(minimumLead(other), -20);
});
