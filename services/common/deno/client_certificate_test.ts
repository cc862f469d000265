import assert from "node:assert/strict";
import { readTls } from "../tls.ts";
import { assertUsable } from "./client_certificate.ts";

/** Paths of certificates with their keys; `old` is of X.509 version 1, `weak` has an RSA key of 1024 bits. */
async function made() {
  const dir = await Deno.makeTempDir({ prefix: "strand-certs-" });
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: dir }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=lab"];
  await openssl("req", "-x509", ...curve, "-keyout", "good-key", "-out", "good");
  await openssl("req", ...curve, "-keyout", "old-key", "-out", "csr");
  // What openssl 3.0 makes without extensions is of version 1.
  await openssl(
    "x509",
    "-req",
    "-in",
    "csr",
    "-CA",
    "good",
    "-CAkey",
    "good-key",
    "-CAcreateserial",
    "-out",
    "old",
  );
  const rsa = ["-newkey", "rsa:1024", "-nodes", "-subj", "/CN=lab"];
  await openssl("req", "-x509", ...rsa, "-keyout", "weak-key", "-out", "weak");
  return {
    files: (name: string) => ({ cert: `${dir}/${name}`, key: `${dir}/${name}-key` }),
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

Deno.test("assertUsable() refuses a certificate of version 1 and a weak key, and says what is right", async () => {
  await using certs = await made();
  const read = (name: string) => readTls(certs.files(name), { cert: "cert", key: "key", ca: "ca" });
  assertUsable(read("good"));
  assert.throws(() => assertUsable(read("old")), /not of X\.509 version 3, .*: make one of version 3/);
  assert.throws(() => assertUsable(read("weak")), /of a kind that TLS does not take here: RSA of 2048 bits/);
});

for (const name of ["old", "weak"]) {
  Deno.test(`Deno ends the process over such a client certificate (${name}): once it does not, assertUsable() can go`, async () => {
    await using certs = await made();
    const program = `
      const { cert, key } = ${JSON.stringify(certs.files(name))};
      const { addr } = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const [shown, its] = [Deno.readTextFileSync(cert), Deno.readTextFileSync(key)];
      await Deno.connectTls({ hostname: "127.0.0.1", port: addr.port, cert: shown, key: its });`;
    const { stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", program] }).output();
    assert.match(new TextDecoder().decode(stderr), /panicked/);
  });
}
