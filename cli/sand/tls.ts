/** Reads the certificate files of a client of the agent, and falls back on the authorities that the machine trusts. */
import { assertUsable } from "../../services/common/deno/client_certificate.ts";
import { outOfTime, readTls, type TlsMaterial } from "../../services/common/tls.ts";

/** Paths of PEM files, as the program's options name them. */
export interface TlsOptions {
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
}

/** Reads the files; without a CA file, the authorities that the machine trusts. Throws Refusal. */
export function readClientTls({ certFile: cert, keyFile: key, caFile }: TlsOptions): TlsMaterial {
  const fields = { cert: "--cert-file", key: "--key-file", ca: "--ca-file" };
  const material = readTls({ cert, key, ca: caFile ?? systemAuthorities() }, fields);
  assertUsable(material, { cert: `--cert-file: ${cert}`, key: `--key-file: ${key}` });
  return material;
}

/** The file of the authorities that this machine trusts. */
export function systemAuthorities(): string {
  return Deno.env.get("SSL_CERT_FILE") ?? "/etc/ssl/certs/ca-certificates.crt";
}

/** Why a server may close a connection without an error: the problem of our certificate. */
export function certificateTrouble(pem: Uint8Array | undefined): string {
  if (!pem) {
    return "a server does so that wants a client certificate: name one with --cert-file and --key-file";
  }
  const ours = "the certificate in --cert-file", untimely = outOfTime(pem);
  return untimely
    ? `${ours} ${untimely}`
    : `a server does so when ${ours} is not signed by an authority that it trusts`;
}
