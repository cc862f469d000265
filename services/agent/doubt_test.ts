import assert from "node:assert/strict";
import { doubtOf } from "./doubt.ts";

const known = { clusterId: "a", revision: 7, networks: ["N", "M"] };
const seen = { clusterId: "a", revision: 7, networks: new Set(["M"]) };

Deno.test("doubtOf() believes the store that it knows, and one that it sees for the first time", () => {
  assert.equal(doubtOf(known, seen), undefined);
  assert.equal(doubtOf({ networks: [] }, { ...seen, networks: new Set() }), undefined);
  assert.equal(doubtOf({ ...known, networks: [] }, { ...seen, networks: new Set() }), undefined);
});

Deno.test("doubtOf() doubts another cluster, an older store and an emptied one", () => {
  assert.match(doubtOf(known, { ...seen, clusterId: "b" }) ?? "", /^another etcd cluster answers \(b; /);
  assert.match(doubtOf(known, { ...seen, revision: 6 }) ?? "", /went back from revision 7 to 6/);
  assert.match(
    doubtOf(known, { ...seen, networks: new Set() }) ?? "",
    /nothing any more of the networks that this host has \(2\)/,
  );
});

Deno.test("doubtOf() doubts a store seen for the first time that knows none of the networks which the kernel has", () => {
  assert.match(doubtOf({ networks: ["N"] }, seen) ?? "", /knows nothing any more of the networks/);
  assert.equal(doubtOf({ networks: ["N", "M"] }, seen), undefined);
});
