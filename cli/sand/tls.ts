import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { Refusal } from "../../services/common/refusal.ts";
import { isVersion3 } from "../../services/common/server_identity.ts";
import { outOfTime, readTls, type TlsMaterial } from "../../services/common/tls.ts";

/** Paths of PEM files, as the program's options name them. */
export interface TlsOptions {
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
}

/** What the files hold; without a CA file whom the machine trusts. Throws Refusal. */
export function readClientTls({ certFile: cert, keyFile: key, caFile }: TlsOptions): TlsMaterial {
  const fields = { cert: "--cert-file", key: "--key-file", ca: "--ca-file" };
  const material = readTls({ cert, key, ca: caFile ?? systemAuthorities() }, fields);
  // What follows would end the process: Deno 2.9.3 panics over it.
  if (material.cert && !isVersion3(certificateIn(material.cert).raw)) {
    const message =
      `--cert-file: ${cert} is not of X.509 version 3, which TLS needs here: make one of version 3`;
    throw new Refusal("invalid", message);
  }
  if (material.key && !isUsable(createPrivateKey(pemText(material.key)))) {
    const message = `--key-file: ${key} is of a kind that TLS does not take here: ${KINDS} are right`;
    throw new Refusal("invalid", message);
  }
  return material;
}

const KINDS = "RSA of 2048 bits or more, P-256, P-384, P-521 and Ed25519";

function isUsable({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (asymmetricKeyType === "rsa") return (details?.modulusLength ?? 0) >= 2048;
  if (asymmetricKeyType === "ec") {
    return ["prime256v1", "secp384r1", "secp521r1"].includes(details?.namedCurve ?? "");
  }
  return asymmetricKeyType === "ed25519";
}

/** The file of whom this machine trusts. */
export function systemAuthorities(): string {
  return Deno.env.get("SSL_CERT_FILE") ?? "/etc/ssl/certs/ca-certificates.crt";
}

function certificateIn(pem: Uint8Array): X509Certificate {
  return new X509Certificate(pemText(pem));
}

function pemText(pem: Uint8Array): string {
  return new TextDecoder().decode(pem);
}

/** Why a server may close a connection without a word: what is the matter with our certificate. */
export function certificateTrouble(pem: Uint8Array | undefined): string {
  if (!pem) {
    return "a server does so that wants a client certificate: name one with --cert-file and --key-file";
  }
  const ours = "the certificate in --cert-file", untimely = outOfTime(pem);
  return untimely
    ? `${ours} ${untimely}`
    : `a server does so when ${ours} is not signed by an authority that it trusts`;
}
