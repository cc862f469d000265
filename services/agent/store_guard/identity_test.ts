import assert from "node:assert/strict";
import { identityFault } from "./identity.ts";

const known = { clusterId: "a", revision: 7, networks: ["N", "M"] };
const seen = { clusterId: "a", revision: 7, networks: new Set(["M"]) };

Deno.test("identityFault() believes the store that it knows, and one that it sees for the first time", () => {
  assert.equal(identityFault(known, seen), undefined);
  assert.equal(identityFault({ networks: [] }, { ...seen, networks: new Set() }), undefined);
  assert.equal(identityFault({ ...known, networks: [] }, { ...seen, networks: new Set() }), undefined);
});

Deno.test("identityFault() reports another cluster, an older store and an emptied one", () => {
  assert.match(
    identityFault(known, { ...seen, clusterId: "b" }) ?? "",
    /^another etcd cluster answers \(b; /,
  );
  assert.match(identityFault(known, { ...seen, revision: 6 }) ?? "", /went back from revision 7 to 6/);
  assert.match(
    identityFault(known, { ...seen, networks: new Set() }) ?? "",
    /nothing any more of the networks that this host has \(2\)/,
  );
});

Deno.test("identityFault() reports a store seen for the first time that knows none of the networks which the kernel has", () => {
  assert.match(identityFault({ networks: ["N"] }, seen) ?? "", /knows nothing any more of the networks/);
  assert.equal(identityFault({ networks: ["N", "M"] }, seen), undefined);
});
