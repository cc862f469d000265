/** Client certificates that Deno 2.9.3 can show: over any other one it ends the whole process with a panic. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { Refusal } from "../refusal.ts";
import { isVersion3 } from "./server_identity.ts";
import type { TlsMaterial } from "../tls.ts";

const KINDS = "RSA of 2048 bits or more, P-256, P-384, P-521 and Ed25519";

/**
 * Checks a certificate; it must be called before the certificate is passed to Deno.connectTls().
 *
 * @param names The names of certificate and key in messages.
 * @throws Refusal "invalid" with what would be right
 */
export function assertUsable(
  { cert, key }: TlsMaterial,
  names = { cert: "this agent's own certificate", key: "the key of this agent's certificate" },
): void {
  if (cert && !isVersion3(new X509Certificate(textOf(cert)).raw)) {
    throw new Refusal(
      "invalid",
      `${names.cert} is not of X.509 version 3, which TLS needs here: make one of version 3`,
    );
  }
  if (key && !isUsable(createPrivateKey(textOf(key)))) {
    throw new Refusal("invalid", `${names.key} is of a kind that TLS does not take here: ${KINDS} are right`);
  }
}

function isUsable({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (asymmetricKeyType === "rsa") return (details?.modulusLength ?? 0) >= 2048;
  if (asymmetricKeyType === "ec") {
    return ["prime256v1", "secp384r1", "secp521r1"].includes(details?.namedCurve ?? "");
  }
  return asymmetricKeyType === "ed25519";
}

function textOf(pem: Uint8Array): string {
  return new TextDecoder().decode(pem);
}
