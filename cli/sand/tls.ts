import { X509Certificate } from "node:crypto";
import { isVersion3 } from "../../services/common/server_identity.ts";
import { readTls, type TlsMaterial } from "../../services/common/tls.ts";

/** Paths of PEM files, as the program's options name them. */
export interface TlsOptions {
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
}

/** What the files hold; without a CA file whom the machine trusts. Throws Refusal. */
export function readClientTls({ certFile: cert, keyFile: key, caFile }: TlsOptions): TlsMaterial {
  const fields = { cert: "--cert-file", key: "--key-file", ca: "--ca-file" };
  return readTls({ cert, key, ca: caFile ?? systemAuthorities() }, fields);
}

/** The file of whom this machine trusts. */
export function systemAuthorities(): string {
  return Deno.env.get("SSL_CERT_FILE") ?? "/etc/ssl/certs/ca-certificates.crt";
}

/** As node's TLS takes them. */
export function pemText({ cert, key, ca }: TlsMaterial) {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { ...(cert && key && { cert: text(cert), key: text(key) }), ...(ca && { ca: text(ca) }) };
}

/** Why a server may close a connection without a word: what is the matter with our certificate. */
export function certificateTrouble(pem: Uint8Array | undefined): string {
  if (!pem) {
    return "a server does so that wants a client certificate: name one with --cert-file and --key-file";
  }
  const { raw, validFrom, validFromDate, validTo, validToDate } = new X509Certificate(
    new TextDecoder().decode(pem),
  );
  const ours = "the certificate in --cert-file";
  if (validToDate.getTime() < Date.now()) return `${ours} expired on ${validTo}`;
  if (validFromDate.getTime() > Date.now()) return `${ours} is not valid before ${validFrom}`;
  if (!isVersion3(raw)) {
    return `${ours} is not of X.509 version 3, which an agent of Strand needs: make one of version 3`;
  }
  return `a server does so when ${ours} is not signed by an authority that it trusts`;
}
