import assert from "node:assert/strict";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { isVersion3, serverCheck } from "./server_identity.ts";

/** Authority and server as PEM; every authority here has the same name, as an impostor's would. */
interface Issued {
  readonly ca: string;
  readonly key: string;
  /** The server's, followed by what it sends along. */
  readonly chain: string;
}

interface Wanted {
  /** Extensions of the server's certificate; undefined: it is of X.509 version 1. */
  readonly names?: string;
  /** The version of an authority in between, if there is one. */
  readonly between?: 1 | 3;
}

const ours = "DNS:localhost,IP:127.0.0.1";

async function issue({ names, between }: Wanted): Promise<Issued> {
  const dir = await Deno.makeTempDir();
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: dir }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const sign = async (name: string, subject: string, by: string, extensions: string | undefined) => {
    await openssl("req", ...fresh, "-keyout", `${name}-key`, "-out", `${name}.csr`, "-subj", subject);
    await Deno.writeTextFile(`${dir}/ext`, extensions ?? "");
    const issuer = ["-CA", by, "-CAkey", `${by}-key`, "-CAcreateserial", "-days", "2"];
    // What openssl 3.0 makes without extensions is of version 1.
    const file = extensions === undefined ? [] : ["-extfile", "ext"];
    await openssl("x509", "-req", "-in", `${name}.csr`, ...issuer, ...file, "-out", name);
  };
  try {
    await openssl("req", "-x509", ...fresh, "-keyout", "ca-key", "-out", "ca", "-subj", "/CN=lab");
    if (between) {
      await sign(
        "between",
        "/CN=between",
        "ca",
        between === 3 ? "basicConstraints=critical,CA:TRUE\n" : undefined,
      );
    }
    await sign("server", "/CN=localhost", between ? "between" : "ca", names && `subjectAltName=${names}\n`);
    const read = (file: string) => Deno.readTextFile(`${dir}/${file}`);
    const chain = await read("server") + (between ? await read("between") : "");
    return { ca: await read("ca"), key: await read("server-key"), chain };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** "answered", or why a client that trusts `ca` does not take the server. */
async function call(
  host: string,
  { chain, key }: Issued,
  ca: string,
  check: ReturnType<typeof serverCheck> = serverCheck(ca),
): Promise<string> {
  const server = createServer({ cert: chain, key }, (_, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise<string>((resolve) => {
      const options = {
        host,
        port,
        ca,
        agent: false,
        checkServerIdentity: (_: string, c: Peer) => check(host, c),
      };
      request(options, (response) => response.resume().on("end", () => resolve("answered")))
        .on("error", (error) => resolve(error.message)).end();
    });
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

type Peer = Parameters<ReturnType<typeof serverCheck>>[1];

Deno.test("serverCheck() takes a certificate of the host's, by name or address, and no other's", async () => {
  const direct = await issue({ names: ours }), elsewhere = await issue({ names: "DNS:elsewhere" });
  const through = await issue({ names: ours, between: 3 });
  assert.equal(await call("localhost", direct, direct.ca), "answered");
  assert.equal(await call("127.0.0.1", direct, direct.ca), "answered");
  assert.equal(await call("127.0.0.1", through, through.ca), "answered");
  assert.equal(await call("localhost", direct, through.ca + direct.ca), "answered");
  for (const host of ["localhost", "127.0.0.1"]) {
    assert.match(await call(host, elsewhere, elsewhere.ca), /does not match certificate's altnames/);
  }
});

Deno.test("Deno trusts a server whose authority has but the name of a trusted one: once it does not, serverCheck() can go", async () => {
  const { ca } = await issue({ names: ours }), impostor = await issue({});
  assert.equal(await call("localhost", impostor, ca, () => undefined), "answered");
});

Deno.test("serverCheck() takes nothing whose signatures it cannot follow to an authority", async () => {
  const { ca } = await issue({ names: ours });
  for (const names of [ours, undefined]) {
    for (const between of [undefined, 1, 3] as const) {
      const stranger = await issue({ ...(names && { names }), ...(between && { between }) });
      const said = await call("localhost", stranger, ca);
      assert.match(said, /not of X\.509 version 3|not signed by|unable to verify/, `${names} ${between}`);
    }
  }
  const old = await issue({});
  assert.match(await call("localhost", old, old.ca), /not of X\.509 version 3/);
});

Deno.test("isVersion3() takes a certificate in no encoding but its own", async () => {
  const { chain } = await issue({ names: ours });
  const text = atob(chain.replace(/-----[^-]+-----|\s/g, ""));
  const der = Uint8Array.from(text, (c) => c.charCodeAt(0));
  // 30 82 LL LL, then what is signed, its algorithm, and 03 LL 00 with a signature of 68 to 72 bytes.
  const bits = der.findLastIndex((tag, i) =>
    tag === 3 && (der[i + 1] ?? 0) >= 68 && i + 2 + (der[i + 1] ?? 0) === der.length
  );
  const { length } = der.subarray(4);
  assert.ok(isVersion3(der));
  const altered: Record<string, Uint8Array> = {
    "bits that are unused": der.with(bits + 2, 1),
    "a length in more bytes than it needs": Uint8Array.of(0x30, 0x83, 0, ...der.subarray(2)),
    "a byte too many": Uint8Array.of(...der, 0),
    "a byte too many inside": Uint8Array.of(
      0x30,
      0x82,
      (length + 1) >> 8,
      (length + 1) & 255,
      ...der.subarray(4),
      0,
    ),
    "a byte too few": der.subarray(0, -1),
    "another tag": der.with(bits, 4),
    "nothing": new Uint8Array(),
  };
  for (const [what, bytes] of Object.entries(altered)) assert.ok(!isVersion3(bytes), what);
});
