import assert from "node:assert/strict";
import { certificates } from "../../tests/lab/certificates.ts";
import { readTls } from "./tls.ts";

const fields = { cert: "nexd.tls.cert", key: "nexd.tls.key", ca: "nexd.tls.ca" };
const where = (field: string) => `nex.yml:3: ${field}`;

Deno.test("readTls() refuses what would only fail at every handshake", async () => {
  await using certs = await certificates();
  const server = certs.path("server"), ca = certs.path("ca");
  const key = certs.path("server-key"), other = certs.path("client-key");
  const made = async (name: string, text: string) => {
    await Deno.writeTextFile(certs.path(name), text);
    return certs.path(name);
  };
  const garbage = await made("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const noKey = await made("no-key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  const locked = await made(
    "locked",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
  );
  const halfCa = await made("half-ca", await Deno.readTextFile(ca) + await Deno.readTextFile(garbage));
  const cut = await made("cut", (await Deno.readTextFile(server)).replace(/-----END[^]*/, ""));

  const refused: [Parameters<typeof readTls>[0], string][] = [
    [{ cert: server, key: other }, `nexd.tls.key: ${other} is not the key of nexd.tls.cert, ${server}`],
    [{ cert: garbage, key }, `nexd.tls.cert: ${garbage} holds a certificate that cannot be read`],
    [{ cert: cut, key }, `nexd.tls.cert: ${cut} holds no PEM certificate`],
    [{ cert: server, key: noKey }, `nexd.tls.key: ${noKey} holds a private key that cannot be read`],
    [
      { cert: server, key: locked },
      `nexd.tls.key: ${locked} holds an encrypted key: one without a passphrase`,
    ],
    [{ cert: server, key, ca: halfCa }, `nexd.tls.ca: ${halfCa} holds a certificate that cannot be read`],
    [{ ca: key }, `nexd.tls.ca: ${key} holds no PEM certificate`],
    [{ ca: "/nowhere.pem" }, "nexd.tls.ca: /nowhere.pem cannot be read: No such file or directory"],
    [{ cert: server }, "nexd.tls.cert: given without nexd.tls.key; a certificate needs its key"],
  ];
  for (const [files, sentence] of refused) {
    const message = assertRefused(() => readTls(files, fields, where));
    assert.ok(message.startsWith(`nex.yml:3: ${sentence}`), message);
    assert.ok(!message.includes("\n"), message);
  }
});

Deno.test("readTls() takes a chain, several authorities, and keys of every usual kind", async () => {
  await using certs = await certificates();
  const chain = certs.path("chain");
  await Deno.writeTextFile(
    chain,
    "Subject: what openssl writes above it\n" + await Deno.readTextFile(certs.path("server")) +
      await Deno.readTextFile(certs.path("ca")),
  );
  const { cert, ca } = readTls({ cert: chain, key: certs.path("server-key"), ca: chain }, fields);
  assert.ok(cert && ca);
  const kinds = [
    ["genrsa"],
    ["genrsa", "-traditional"],
    ["ecparam", "-name", "prime256v1", "-genkey"],
    ["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
    ["genpkey", "-algorithm", "ed25519"],
  ];
  for (const kind of kinds) {
    const openssl = async (...args: string[]) => {
      const { success } = await new Deno.Command("openssl", { args, cwd: certs.dir, stderr: "null" })
        .output();
      assert.ok(success, args.join(" "));
    };
    const [verb = "", ...rest] = kind;
    await openssl(verb, ...rest, "-out", "k.pem");
    await openssl("req", "-x509", "-key", "k.pem", "-subj", "/CN=x", "-out", "c.pem", "-days", "2");
    assert.ok(readTls({ cert: certs.path("c"), key: certs.path("k") }, fields).cert, kind.join(" "));
  }
});

function assertRefused(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    assert.equal((error as Error).name, "Refusal", String(error));
    return (error as Error).message;
  }
  throw new Error("not refused");
}
