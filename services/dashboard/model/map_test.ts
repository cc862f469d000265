import assert from "node:assert/strict";
import type { HostAnswer } from "../agents.ts";
import type { HostRow } from "./hosts.ts";
import { mapContent, mapModel } from "./map.ts";

const row = (name: string): HostRow => ({
  ...{ name, vtep: "", version: "", agent: "runs" },
  ...{ networks: 0, endpoints: 0, applied: 0, behind: 0 },
});

Deno.test("the map's failing probes are those between hosts that etcd has, whatever names agents give", () => {
  const peers = ["b", "gone", `${"a".repeat(99)}😀`, "\ud800"];
  const says: HostAnswer = { reaches: new Map(peers.map((peer) => [peer, false])), mended: 0, problems: [] };
  const content = mapContent(
    { hosts: [row("a"), row("b")], networks: [] },
    () => undefined,
    new Map([["a", says], ["forgotten", says]]),
  );
  assert.deepEqual(mapModel(content, new URLSearchParams()).failures?.rows, [{ from: "a", to: "b" }]);
  assert.equal(content.drawn?.picture.failures, 1);
});
