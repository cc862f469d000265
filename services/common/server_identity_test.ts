import assert from "node:assert/strict";
import { request } from "node:https";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { PeerCertificate } from "node:tls";
import { checkServer } from "./server_identity.ts";

/** Certificates for localhost and 127.0.0.1 of an authority that is called `lab`, in PEM. */
async function issued(names: string | undefined) {
  const dir = await Deno.makeTempDir();
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: dir }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  try {
    await openssl("req", "-x509", ...fresh, "-keyout", "ca-key", "-out", "ca", "-subj", "/CN=lab");
    await openssl("req", ...fresh, "-keyout", "key", "-out", "csr", "-subj", "/CN=localhost");
    await Deno.writeTextFile(`${dir}/ext`, `subjectAltName=${names}\n`);
    const sign = [
      "x509",
      "-req",
      "-in",
      "csr",
      "-CA",
      "ca",
      "-CAkey",
      "ca-key",
      "-CAcreateserial",
      "-out",
      "cert",
    ];
    // What openssl 3.0 makes without extensions is of version 1.
    await openssl(...sign, ...(names ? ["-extfile", "ext"] : []));
    const [ca, cert, key] = await Promise.all(
      ["ca", "cert", "key"].map((file) => Deno.readTextFile(`${dir}/${file}`)),
    );
    return { ca: ca ?? "", cert: cert ?? "", key: key ?? "" };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** "answered", or why a client that trusts `ca` and checks with checkServer() does not take the server. */
async function called(host: string, server: { cert: string; key: string }, ca: string): Promise<string> {
  const listening = createServer(server, (_, response) => response.end());
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const { port } = listening.address() as AddressInfo;
  try {
    return await new Promise<string>((resolve) => {
      const check = (_: string, certificate: PeerCertificate) => checkServer(host, certificate);
      request({ host, port, ca, agent: false, checkServerIdentity: check }, (response) => {
        response.resume().on("end", () => resolve("answered"));
      }).on("error", (error) => resolve(error.message)).end();
    });
  } finally {
    await new Promise<void>((resolve) => listening.close(() => resolve()));
  }
}

Deno.test("checkServer() takes a certificate of the host's, by name or address, and no other's", async () => {
  const ours = await issued("DNS:localhost,IP:127.0.0.1"), elsewhere = await issued("DNS:elsewhere");
  assert.equal(await called("localhost", ours, ours.ca), "answered");
  assert.equal(await called("127.0.0.1", ours, ours.ca), "answered");
  assert.match(await called("127.0.0.1", elsewhere, elsewhere.ca), /does not match certificate's altnames/);
  assert.match(await called("localhost", elsewhere, elsewhere.ca), /does not match certificate's altnames/);
});

Deno.test("checkServer() takes none of X.509 version 1, whose signature nobody looks at", async () => {
  const old = await issued(undefined), stranger = await issued(undefined);
  assert.match(await called("localhost", stranger, old.ca), /not of X\.509 version 3/);
  assert.match(await called("localhost", old, old.ca), /not of X\.509 version 3/);
});
