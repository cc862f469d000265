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

Deno.test("names of fields may be spelled otherwise at every depth, and further fields are kept", () => {
  const ip4 = { address: "10.0.0.10", expires: { seconds: 1795944204, nanos: 0 } };
  const own = { mac, name: "alfa", ip4, net: "mini", client_name: "bravo" };
  const key = `/member/${mac}`;
  assert.deepEqual(parse(key, own), { kind: "member", id: mac, value: own });
  const { ip4: _, ...others } = own;
  for (
    const [stored, further] of [
      [{ ...others, IP4: ip4 }, {}],
      [{ ...others, ip4: { Address: "10.0.0.10", expires: ip4.expires } }, {}],
      [{ ...others, Ip_4: { address: "10.0.0.10", Expires: { Seconds: 1795944204, NANOS: 0 } } }, {}],
      [{ mac, name: "alfa", ip4, net: "mini", clientName: "bravo" }, {}],
      [{ ...own, color: "red" }, { color: "red" }],
      [{ ...own, ip4: { ...ip4, Color: 1 } }, { ip4: { ...ip4, Color: 1 } }],
      [{ ...own, ip4: { ...ip4, expires: { ...ip4.expires, mac: 1 } } }, {
        ip4: { ...ip4, expires: { ...ip4.expires, mac: 1 } },
      }],
      [{ ...own, NET: undefined, Color: { MAC: "x" } }, { Color: { MAC: "x" } }],
    ] as const
  ) {
    assert.deepEqual(parse(key, stored), { kind: "member", id: mac, value: { ...own, ...further } });
  }
  const network = { name: "mini", subnet4: "10.0.0.0/24", Range4: { begin: "10.0.0.10", end: "10.0.0.20" } };
  const read = (stored: object) => parse("/net/mini", stored);
  assert.deepEqual(read(network), { kind: "network", id: "mini", value: network, respelled: false });
  const { Range4, ...rest } = network;
  for (
    const stored of [{ ...rest, range4: Range4 }, {
      ...rest,
      range_4: { BEGIN: "10.0.0.10", End: "10.0.0.20" },
    }]
  ) {
    assert.deepEqual(read(stored), { kind: "network", id: "mini", value: network, respelled: true });
  }
  assert.deepEqual(read({ ...network, Range4: {}, color: 1 }), {
    ...{ kind: "network", id: "mini", respelled: false },
    value: { ...rest, Range4: undefined, color: 1 },
  });
});

Deno.test("what is wrong with a record is told with its place, however names are spelled", () => {
  const key = `/member/${mac}`;
  const wrong: [object, string][] = [
    [{ mac, ip4: { address: "10.0.0" } }, 'ip4.address: no IP address, like 10.0.0.1 ("10.0.0")'],
    [{ mac, IP4: { ADDRESS: "10.0.0" } }, 'ip4.address: no IP address, like 10.0.0.1 ("10.0.0")'],
    [{ mac, color: 1, name: 2 }, "name: Invalid input: expected string, received number (2)"],
    [{ mac, ip4: { address: "10.0.0.10", Address: "10.0.0.11" } }, "ip4: address is there twice"],
    [{ mac, ip4: { expires: { seconds: 1, SECONDS: 1 } } }, "ip4.expires: seconds is there twice"],
    [{ mac, MAC: mac }, "value: mac is there twice"],
  ];
  for (const [stored, message] of wrong) assert.throws(() => parse(key, stored), { message });
  assert.throws(() => parse("/net/mini", { name: "mini", options: [{ number: 1, Number: 2 }] }), {
    message: "options.0: number is there twice",
  });
});

Deno.test("the MAC of a claim may be quoted, and spelled otherwise", () => {
  const mac = "02:00:00:00:00:ab";
  for (const value of [mac, `"${mac}"`, ` "${mac}"\n`, "02-00-00-00-00-AB", `"02:00:00:00:00:AB"`]) {
    assert.deepEqual(nexSchema.parse("/member/ip4/10.0.0.10", value), {
      kind: "claim-ip",
      id: "10.0.0.10",
      mac,
    });
    assert.deepEqual(nexSchema.parse(`/member/net/mini/${mac}`, value), {
      kind: "member-of",
      network: "mini",
      mac,
    });
    assert.deepEqual(nexSchema.parse("/member/net/mini/02-00-00-00-00-AB", value), {
      ...{ kind: "member-of", network: "mini", mac },
    });
    assert.deepEqual(nexSchema.parse(`/member/name/alfa.test/${mac}`, value), {
      ...{ kind: "newer-name", name: "alfa.test", mac },
    });
  }
  assert.throws(() => nexSchema.parse("/member/ip4/10.0.0.10", `'${mac}'`), /^Error: value: no MAC address/);
  assert.throws(
    () => nexSchema.parse("/member/net/mini/02:00:00:00:00:ac", mac),
    /^Error: value: not the MAC address of its key/,
  );
});
