import { sharedInRun } from "./shared.ts";

/** A throw-away certificate authority, made with openssl. */
export interface Certificates extends AsyncDisposable {
  readonly dir: string;
  /** Paths of `NAME.pem` and `NAME-key.pem`. */
  path(name: string): string;
  read(name: string): Promise<Uint8Array>;
}

/**
 * Makes `ca.pem`, `server.pem` and `client.pem` for localhost and 127.0.0.1, and `elsewhere.pem` for another
 * host, and `expired.pem`, each with `…-key.pem`. They are copies of what the first test of a run had openssl make, in nine calls.
 *
 * @param authority One for each authority that a test needs.
 */
export async function certificates(authority: "lab" | "stranger" = "lab"): Promise<Certificates> {
  const dir = await Deno.makeTempDir({ prefix: "strand-certs-" });
  await using shared = await sharedInRun(`certificates-${authority}`, make);
  for await (const { name } of Deno.readDir(shared.path)) {
    await Deno.copyFile(`${shared.path}/${name}`, `${dir}/${name}`);
  }
  const path = (name: string) => `${dir}/${name}.pem`;
  return {
    dir,
    path,
    read: (name) => Deno.readFile(path(name)),
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

/** Fills a directory with an authority's certificates, and with what they were made of. */
async function make(dir: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90"];
  await openssl(dir, [
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca-key.pem",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=lab authority",
  ]);
  for (const name of ["server", "client", "elsewhere", "expired"]) {
    const names = name === "elsewhere" ? "DNS:elsewhere" : "DNS:localhost,IP:127.0.0.1";
    const extensions = `subjectAltName=${names}
extendedKeyUsage=serverAuth,clientAuth
`;
    await Deno.writeTextFile(`${dir}/${name}.ext`, extensions);
    await openssl(dir, [
      "req",
      ...key,
      "-keyout",
      `${name}-key.pem`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
    ]);
    const signed = [
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca-key.pem",
      "-CAcreateserial",
      "-days",
      name === "expired" ? "-1" : "90",
    ];
    await openssl(dir, [
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...signed,
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    ]);
  }
}

async function openssl(cwd: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
