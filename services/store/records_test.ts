import assert from "node:assert/strict";
import { nexSchema } from "./records.ts";

const mac = "02:00:00:00:00:01", LAST = 253402300799;
const parse = (key: string, value: object) => nexSchema.parse(key, JSON.stringify(value));

Deno.test("a time beyond those of a Timestamp is read as the last or first of these", () => {
  for (const [seconds, read] of [[1e15, LAST], [-1e15, 0], [1795944204, 1795944204]] as const) {
    const ip4 = { address: "10.0.0.10", expires: { seconds } };
    const member = parse(`/member/${mac}`, { mac, net: "mini", ip4 });
    assert.equal(member?.kind === "member" && member.value.ip4?.expires?.seconds, read);
    const held = parse("/strand/nex/withheld/10.0.0.10", { net: "mini", mac, until: seconds, leased: true });
    assert.equal(held?.kind === "withheld" && held.value.until, read);
    const former = parse("/strand/nex/former/10.0.0.10", { mac, ended: seconds });
    assert.equal(former?.kind === "former" && former.value.ended, read);
  }
});

Deno.test("an address that is held or was had is that of a MAC, and an IPv4 address", () => {
  const held = { net: "mini", mac, until: 1000, leased: true };
  for (const address of ["10.0.0", "2001:db8::1", "x"]) {
    assert.throws(() => parse(`/strand/nex/withheld/${address}`, held), /its key: no IPv4 address/);
    assert.throws(
      () => parse(`/strand/nex/former/${address}`, { mac, ended: 1 }),
      /its key: no IPv4 address/,
    );
  }
  assert.throws(
    () => parse("/strand/nex/withheld/10.0.0.10", { ...held, mac: "\x1b[31m" }),
    /no MAC address/,
  );
  assert.throws(() => parse("/strand/nex/former/10.0.0.10", { mac: "", ended: 1 }), /no MAC address/);
});
