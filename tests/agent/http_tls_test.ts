/** HTTPS of the agent's API: which client certificates are accepted, and what the log says of others. */
import assert from "node:assert/strict";
import { testServer } from "../../services/agent/http/testing.ts";
import { type Certificates, certificates } from "../lab/certificates.ts";
import { curl } from "../lab/curl.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { materialOf } from "./http_lab.ts";

async function openssl(dir: string, ...args: string[]): Promise<void> {
  await run([
    "openssl",
    ...args.map((arg) => /^[\w-]+\.(pem|csr|ext|srl)$/.test(arg) ? `${dir}/${arg}` : arg),
  ]);
}

/** `NAME.pem` with the key of `client.pem`, signed by the authority of `signer`. */
async function sign(
  { dir }: Certificates,
  name: string,
  extra: readonly string[],
  signer: Certificates = { dir } as Certificates,
): Promise<void> {
  const by = ["-CA", `${signer.dir}/ca.pem`, "-CAkey", `${signer.dir}/ca-key.pem`, "-CAcreateserial"];
  await openssl(dir, "x509", "-req", "-in", "client.csr", ...by, "-sha256", ...extra, "-out", `${name}.pem`);
}

/**
 * A key file with the secret of `thief` and the public half of `owner`, which OpenSSL takes for the owner's: what
 * an attacker has who knows a certificate and not its key.
 */
async function forgedKey(dir: string, owner: string, thief: string): Promise<void> {
  const der = async (name: string) => {
    await openssl(dir, "ec", "-in", `${name}-key.pem`, "-outform", "DER", "-out", `${dir}/${name}.der`);
    return await Deno.readFile(`${dir}/${name}.der`);
  };
  const forged = await der(owner), secret = await der(thief);
  // ECPrivateKey (RFC 5915): SEQUENCE, version, then an OCTET STRING of 32 bytes.
  forged.set(secret.subarray(7, 39), 7);
  await Deno.writeFile(`${dir}/forged.der`, forged);
  await openssl(dir, "ec", "-inform", "DER", "-in", `${dir}/forged.der`, "-out", "forged-key.pem");
}

Deno.test("HTTPS asks for a certificate of its authority, and says in its log who is refused and why", async (t) => {
  await using certs = await certificates();
  await using others = await certificates("stranger");
  const extensions = ["-extfile", `${certs.dir}/client.ext`];
  await sign(certs, "foreign", ["-days", "2", ...extensions], others);
  await sign(certs, "v1", ["-days", "2"]);
  await openssl(certs.dir, "x509", "-in", "v1.pem", "-noout", "-text", "-out", `${certs.dir}/v1.txt`);
  assert.match(await Deno.readTextFile(`${certs.dir}/v1.txt`), /Version: 1 /);
  await sign(certs, "expired", ["-days", "0", ...extensions]);
  await forgedKey(certs.dir, "client", "elsewhere");
  const expiry = Date.now() + 1100;
  let served = 0;
  await using server = await testServer(undefined, {
    tls: await materialOf(certs, "server"),
    report: () => ({ service: `agent ${served++}`, version: "1", ready: true, problems: [] }),
    limits: { head: 5_000 },
  });
  const url = `https://localhost:${server.at.port}/readyz`;
  const request = (name: string | undefined, key = "client", ...extra: string[]) => {
    const shown = name === undefined ? [] : ["--cert", certs.path(name), "--key", certs.path(`${key}-key`)];
    return curl(["--cacert", certs.path("ca"), ...shown, ...extra, url]);
  };
  await until("the certificate has expired", (see) => see(Date.now()) > expiry);

  for (const version of ["1.2", "1.3"]) {
    const only = [`--tlsv${version}`, "--tls-max", version];
    await t.step(`TLS ${version}: a certificate of the authority's`, async () => {
      const before = served;
      const { code, body, stderr } = await request("client", "client", ...only);
      assert.equal(code, 0, stderr);
      assert.match(body, /"ready":true/);
      assert.equal(served, before + 1);
    });
    for (
      const [name, key] of [
        [undefined, ""],
        ["expired", "client"],
        ["foreign", "client"],
        ["v1", "client"],
        ["client", "forged"],
      ] as const
    ) {
      await t.step(
        `TLS ${version}: refused, ${name ?? "no certificate"} ${key === "forged" ? "without its key" : ""}`,
        async () => {
          const before = served;
          const { code, body } = await request(name, key || "client", ...only);
          assert.notEqual(code, 0);
          assert.equal(body, "");
          assert.equal(served, before, "a request came through");
        },
      );
    }
  }

  await t.step("who is refused gets no session that could be taken up again", async () => {
    for (const version of ["-tls1_2", "-tls1_3"]) {
      for (const name of ["v1", "foreign", "expired"]) {
        const session = `${certs.dir}/session`;
        const command = `echo | timeout 5 openssl s_client -connect localhost:${server.at.port} ${version} ` +
          `-cert ${certs.path(name)} -key ${
            certs.path("client-key")
          } -sess_out ${session} >/dev/null 2>&1; ` +
          `test ! -s ${session}`;
        assert.equal((await run(["bash", "-c", command], { mayFail: true })).code, 0, `${name} ${version}`);
      }
    }
  });

  await t.step("plain HTTP to the port, and a client that never begins", async () => {
    await curl([`http://localhost:${server.at.port}/`]);
    const mute = await Deno.connect({ port: server.at.port });
    assert.equal(await mute.read(new Uint8Array(10)).catch(() => null), null);
    mute.close();
  });

  await t.step("the log has each cause once, with what is to be done", () => {
    const causes = server.lines.map((line) => /(?:DEBUG|WARN ) agent: (.*)/.exec(line)?.[1] ?? line);
    assert.deepEqual(
      causes.filter((cause) => /shows no certificate; one that HTTP_TLS_CA/.test(cause)).length,
      1,
    );
    const refused = causes.filter((cause) =>
      /not accepted .*expired.*HTTP_TLS_CA.*version 1.*-extfile/.test(cause)
    );
    assert.equal(refused.length, 1);
    assert.match(refused[0]!, /client=127\.0\.0\.1/);
    assert.equal(causes.filter((cause) => /does not speak TLS/.test(cause)).length, 1);
    assert.equal(causes.filter((cause) => /handshake timeout/.test(cause)).length, 1);
    assert.equal(causes.filter((cause) => /refused: unable to verify the first/.test(cause)).length, 1);
    assert(causes.length <= 6, causes.join("\n"));
  });

  await t.step("nothing is left", async () => {
    await until("no connections", async (see) => /connections 0$/m.test(see(await server.metrics.metrics())));
  });
});
