import assert from "node:assert/strict";
import { LeanEndpoint, leanSchema } from "./lean_records.ts";
import { SandKeys } from "./sand_keys.ts";
import { sandSchema } from "./sand_records.ts";

const keys = new SandKeys(), N = "320a669f-e465-4806-ab46-f2e6620c4311";
const whole = sandSchema(keys), lean = leanSchema(whole);

Deno.test("a lean endpoint has all of its record, with fields that are not known, and refuses what the record's schema refuses", () => {
  const key = keys.networkEndpoint(N, "E-1");
  const record = {
    id: "E-1",
    network_id: N,
    hostname: "host1",
    host_ip: "192.0.2.1",
    target_veth_mac: "02:84:0A:00:00:02",
    target_veth_ip: "10.0.0.2/24",
    strand_name: "web",
    strand_aliases: ["www"],
    theirs: { 'é"\\': [1, null] },
    ["__proto__"]: 1,
  };
  for (const text of [JSON.stringify(record), JSON.stringify({ ...record, active: true, theirs: "ß" })]) {
    const found = lean.parse(key, text), wanted = whole.parse(key, text);
    assert.ok(found instanceof LeanEndpoint);
    const { kind, network, id, value } = found;
    assert.deepEqual({ kind, network, id, value }, wanted);
    assert.deepEqual(found.macs, ["02:84:0a:00:00:02"]);
    assert.deepEqual([/^E-1$/i, /"02:84:0a:00:00:02"/i, /nothing/].map((it) => found.matches(it)), [
      true,
      true,
      false,
    ]);
  }
  assert.throws(
    () => lean.parse(key, JSON.stringify({ ...record, id: "E-2" })),
    /id: "E-2" under the key of/,
  );
});

Deno.test("what many lean records have in common is there once", () => {
  const read = (key: string, value: unknown) => {
    const record = lean.parse(key, JSON.stringify(value));
    assert.ok(record);
    return record;
  };
  const presence = (host: string, created_at: string) =>
    read(keys.networkHost(N, host), { id: N, created_at, mtu: 1450, names: true });
  const [one, other] = [presence("host1", "2026"), presence("host2", "2027")];
  assert.ok(one.kind === "network-host" && other.kind === "network-host");
  assert.deepEqual(one, {
    kind: "network-host",
    network: N,
    host: "host1",
    value: { id: "", created_at: "", mtu: 1450, names: true },
  });
  assert.equal(one.value, other.value);
  assert.deepEqual(read(keys.applied(N, "host1"), { revision: 7, more: 1 }), {
    kind: "applied",
    network: N,
    host: "host1",
    value: { revision: 7 },
  });
  assert.equal(lean.parse("/sc-net/unknown", "{}"), undefined);
});
