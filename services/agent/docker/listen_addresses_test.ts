import assert from "node:assert/strict";
import {
  EarlierAddresses,
  fromThisMachine,
  listenAddresses,
  type ListenOptions,
} from "./listen_addresses.ts";

const names: Record<string, readonly string[]> = {
  h1: ["192.0.2.11"],
  both: ["192.0.2.11", "2001:db8::11"],
  debian: ["127.0.1.1"],
};

function addresses(options: Partial<ListenOptions> = {}) {
  return listenAddresses({
    hostname: "h1",
    port: 9998,
    configured: undefined,
    https: false,
    earlier: [],
    addressesOf: (host) => Promise.resolve(/^[\d.]+$/.test(host) ? [host] : names[host] ?? []),
    ...options,
  });
}

const at = (host: string, port = 9998) => ({ host, port });

Deno.test("plain HTTP is listened for on loopback, and Docker is told so, unless a listening address is set", async () => {
  assert.deepEqual(await addresses(), {
    listen: [at("127.0.0.1")],
    otherwise: undefined,
    also: [],
    told: at("127.0.0.1"),
  });
  for (const configured of ["0.0.0.0", "192.0.2.7"]) {
    const { listen, also, told } = await addresses({ configured });
    assert.deepEqual([listen, also, told], [[at(configured)], [at("192.0.2.11")], at("h1")]);
  }
  // A name that leads nowhere is of no use to Docker.
  assert.deepEqual((await addresses({ configured: "192.0.2.7", hostname: "gone" })).told, at("192.0.2.7"));
  assert.deepEqual((await addresses({ configured: "::", hostname: "gone" })).told, at("gone"));
  assert.deepEqual((await addresses({ configured: "127.0.0.2" })).told, at("127.0.0.2"));
});

Deno.test("HTTPS is listened for where the name of the certificate points", async () => {
  const https = true;
  assert.deepEqual(await addresses({ https }), {
    listen: [at("192.0.2.11")],
    otherwise: at("0.0.0.0"),
    also: [],
    told: at("h1"),
  });
  assert.deepEqual((await addresses({ https, hostname: "both" })).listen, [
    at("192.0.2.11"),
    at("2001:db8::11"),
  ]);
  const { listen, told } = await addresses({ https, hostname: "gone" });
  assert.deepEqual([listen, told], [[at("0.0.0.0")], at("gone")]);
});

Deno.test("what engines were told earlier is listened on too, each address once", async () => {
  const earlier = [at("h1"), at("127.0.0.1"), at("debian", 1234), at("192.0.2.11"), at("gone")];
  assert.deepEqual((await addresses({ earlier })).also, [at("192.0.2.11"), at("127.0.1.1", 1234)]);
});

Deno.test("EarlierAddresses knows the address of a sand.json that was overwritten since, for the scheme that is served", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const spec = `${directory}/sand.json`;
    const read = (https = false) => new EarlierAddresses(spec, `${directory}/run`).read(https);
    assert.deepEqual(await read(), []);
    for (
      const [text, wanted] of [
        ['{"Name":"sand","Addr":"http://h1:9998"}', [at("h1")]],
        ['{"Addr":"http://[::1]:7"}', [at("::1", 7)]],
        ['{"Addr":"http://h1"}', [at("h1", 80)]],
        ['{"Addr":"https://h1:9998"}', []],
        ['{"Addr":"unix:///run/x.sock"}', []],
        ['{"Addr":7}', []],
        ['{"Addr":"http://a b:1/../.."}', []],
        ["[]", []],
        ["", []],
      ] as const
    ) {
      await Deno.writeTextFile(spec, text);
      assert.deepEqual(await read(), wanted, text);
    }
    await Deno.writeTextFile(spec, '{"Addr":"http://h1:9998"}');
    await new EarlierAddresses(spec, `${directory}/run`).keep(await read(), false);
    await Deno.writeTextFile(spec, '{"Addr":"http://127.0.0.1:9998"}');
    assert.deepEqual(await read(), [at("127.0.0.1"), at("h1")]);
    assert.deepEqual(await read(true), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("fromThisMachine() takes connections from loopback and from the address that they are to, and closes others", async () => {
  const closed: string[] = [];
  const from = (remote: string, local: string) => ({
    remoteAddr: { transport: "tcp", hostname: remote, port: 1 },
    localAddr: { transport: "tcp", hostname: local, port: 9998 },
    close: () => void closed.push(remote),
  });
  const waiting = [
    from("192.0.2.66", "192.0.2.11"),
    from("127.0.0.1", "127.0.0.1"),
    from("::ffff:192.0.2.66", "::ffff:192.0.2.11"),
    from("192.0.2.11", "192.0.2.11"),
    from("2001:db8::66", "2001:db8::11"),
    from("::1", "::1"),
  ];
  const refused: string[] = [];
  const listener = {
    accept: () => Promise.resolve(waiting.shift() as unknown as Deno.TcpConn),
    close() {},
  };
  const taken = fromThisMachine(listener, (from) => void refused.push(from));
  const hosts = [1, 2, 3].map(async () => (await taken.accept()).remoteAddr as Deno.NetAddr);
  assert.deepEqual((await Promise.all(hosts)).map(({ hostname }) => hostname).sort(), [
    "127.0.0.1",
    "192.0.2.11",
    "::1",
  ]);
  assert.deepEqual(closed, ["192.0.2.66", "::ffff:192.0.2.66", "2001:db8::66"]);
  assert.deepEqual(refused, ["192.0.2.66", "192.0.2.66", "2001:db8::66"]);
});
