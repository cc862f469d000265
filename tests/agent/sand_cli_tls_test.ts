/** sand-agent-cli over HTTPS, with right and wrong certificates. */
import assert from "node:assert/strict";
import { type Certificates, certificates } from "../lab/certificates.ts";
import { fakeAgent } from "./fake_agent.ts";
import { agentApi, sand, sandProcess, tcpServer, tlsOptions } from "./sand_cli.ts";

/** Runs openssl where the certificates are. */
async function openssl(certs: Certificates, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd: certs.dir }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Adds NAME.pem for localhost, and NAME-key.pem. */
async function add(
  certs: Certificates,
  name: string,
  { extensions = "", days = 2, weak = false },
): Promise<void> {
  await Deno.writeTextFile(`${certs.dir}/${name}.ext`, extensions);
  const request = [
    ...weak ? ["-newkey", "rsa:1024"] : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "-nodes",
    "-keyout",
    `${name}-key.pem`,
    "-subj",
    "/CN=localhost",
  ];
  await openssl(certs, "req", ...request, "-out", `${name}.csr`);
  const signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", `${days}`];
  // Without extensions it is of X.509 version 1.
  const file = extensions ? ["-extfile", `${name}.ext`] : [];
  await openssl(certs, "x509", "-req", "-in", `${name}.csr`, ...signed, ...file, "-out", `${name}.pem`);
}

Deno.test("https: the right certificates work, each wrong one gets its sentence", async (t) => {
  await using certs = await certificates();
  await using stranger = await certificates("stranger");
  const extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
  await add(certs, "expired", { extensions, days: -1 });
  await add(certs, "weak", { extensions, weak: true });
  await add(certs, "old", {});
  await add(stranger, "old", {});
  await using agent = await agentApi(certs);
  const ca = ["--ca-file", certs.path("ca")];
  const client = tlsOptions(certs);

  const works = async (url: string, options: string[], env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await sand({ url, options }, ["network-list"], { env });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^List of networks:\n/);
  };
  const fails = async (url: string, options: string[], says: RegExp) => {
    const { code, stdout, stderr } = await sand({ url, options }, ["network-list"]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^sand-agent-cli: [^\n]+\n$/);
    assert.match(stderr, says);
  };
  await t.step("by address, by name, by environment", async () => {
    await works(agent.url, client);
    const process = await sandProcess({ url: agent.url, options: client }, ["network-list"]);
    assert.deepEqual(process, await sand({ url: agent.url, options: client }, ["network-list"]));
    await works(agent.url.replace("127.0.0.1", "localhost"), client);
    const [cert, key, caFile] = ["client", "client-key", "ca"].map((name) => certs.path(name));
    await works(agent.url, [], {
      SAND_CERT_FILE: cert ?? "",
      SAND_KEY_FILE: key ?? "",
      SAND_CA_FILE: caFile ?? "",
    });
    await works(agent.url, client.slice(2), { SSL_CERT_FILE: certs.path("ca"), SAND_CA_FILE: "" });
  });
  await t.step(
    "no client certificate",
    // The server's alert may be lost with the connection that it closes.
    () => fails(agent.url, ca, /wants a client certificate: name one with/),
  );
  await t.step("a stranger's client certificate", () =>
    fails(
      agent.url,
      [...ca, ...tlsOptions(stranger).slice(2)],
      /closed the connection .*--cert-file is not signed by an authority that it trusts/,
    ));
  await t.step(
    "an expired client certificate",
    () => fails(agent.url, tlsOptions(certs, "expired"), /the certificate in --cert-file expired on /),
  );
  await t.step("a client certificate that TLS does not take", async () => {
    await fails(agent.url, tlsOptions(certs, "old"), /--cert-file: .* is not of X\.509 version 3/);
    await fails(agent.url, tlsOptions(certs, "weak"), /--key-file: .* RSA of 2048 bits or more/);
  });
  await t.step("files that are none", async () => {
    await fails(agent.url, ["--ca-file", "/nowhere.pem"], /--ca-file: \/nowhere\.pem cannot be read/);
    await fails(agent.url, ["--ca-file", certs.path("ca-key")], /--ca-file: .* holds no PEM certificate/);
    await fails(
      agent.url,
      [...ca, "--cert-file", certs.path("client")],
      /--cert-file: given without --key-file/,
    );
    const mixed = [...ca, "--cert-file", certs.path("client"), "--key-file", certs.path("server-key")];
    await fails(agent.url, mixed, /--key-file: .* is not the key of/);
  });
  await t.step(
    "an authority that did not sign the agent's",
    () =>
      fails(agent.url, tlsOptions(stranger), /its certificate is not signed by an authority in --ca-file/),
  );
  await t.step("the agent's is expired, another host's, or cannot be verified", async () => {
    const wrong: [from: Certificates, name: string, says: RegExp][] = [
      [certs, "expired", /its certificate has expired/],
      [certs, "elsewhere", /its certificate is another host's: .*elsewhere/],
      [certs, "old", /its certificate is not of X\.509 version 3/],
      // Not signed by our authority: Node's TLS would accept it.
      [stranger, "old", /its certificate is not of X\.509 version 3/],
    ];
    for (const [from, name, says] of wrong) {
      const [cert = "", key = ""] = [await from.read(name), await from.read(`${name}-key`)].map((pem) =>
        new TextDecoder().decode(pem)
      );
      await using other = await fakeAgent({ tls: { cert, key } });
      await fails(other.url.replace("127.0.0.1", "localhost"), client, says);
    }
  });
  await t.step("https to an agent without it, and the reverse", async () => {
    await using plain = await agentApi();
    await fails(plain.url.replace("http:", "https:"), client, /it does not speak TLS: use http:\/\//);
    await fails(
      agent.url.replace("https:", "http:"),
      client,
      /it does not speak HTTP; if that is TLS, use https:\/\/|closed the connection/,
    );
  });
  await t.step("a server that closes at once", async () => {
    using server = tcpServer((connection) => Promise.resolve(connection.close()));
    await fails(`https://127.0.0.1:${server.port}`, client, /closed the connection/);
    await fails(`http://127.0.0.1:${server.port}`, [], /closed the connection without an answer\n$/);
  });
});
