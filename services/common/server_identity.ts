import { checkServerIdentity, type PeerCertificate } from "node:tls";

/**
 * The `checkServerIdentity` for every TLS client here: what is wrong with a server's certificate, or undefined.
 *
 * Deno 2.9.3 takes a certificate of another X.509 version than 3 (RFC 5280 §4.1.2.1) as it comes: neither its
 * signature nor that the server has its key is verified, so anybody could make one.
 */
export function checkServer(host: string, certificate: PeerCertificate): Error | undefined {
  if (!certificate.raw?.length || !isVersion3(certificate.raw)) {
    return new Error(
      "its certificate is not of X.509 version 3, and cannot be verified: make one of version 3",
    );
  }
  return checkServerIdentity(host, certificate);
}

/** True for a DER certificate whose version field says 3. */
export function isVersion3(der: Uint8Array): boolean {
  const version = contents(der, contents(der, 0));
  return [0xa0, 3, 2, 1, 2].every((byte, i) => der[version + i] === byte);
}

/** Where the contents of the DER element at `at` begin. */
function contents(der: Uint8Array, at: number): number {
  const length = der[at + 1] ?? 0;
  return at + 2 + (length & 0x80 ? length & 0x7f : 0);
}
