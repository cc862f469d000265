import assert from "node:assert/strict";
import { remedyForAway } from "./remedy_for_away.ts";

Deno.test("remedyForAway() says to start what is not running, and to check the network where packets are lost", () => {
  const remedy = (reason: string) => remedyForAway(reason, "etcd.endpoints");
  assert.match(remedy("connect ECONNREFUSED 10.0.0.1:2379"), /^start it, or correct etcd\.endpoints/);
  for (
    const lost of [
      "no answer in time",
      "no connection to 10.0.0.1:2379 within 2 s",
      "connect EHOSTUNREACH 10.0.0.1:2379",
    ]
  ) {
    assert.match(remedy(lost), /^check the network to it/);
    assert.doesNotMatch(remedy(lost), /start/);
  }
  assert.match(remedy("no leader"), /majority/);
  assert.match(remedy("getaddrinfo ENOTFOUND etcd1"), /name/);
  assert.match(remedy("unable to verify the first certificate"), /certificates/);
});
