/**
 * Verification of a server's certificate once more, since Deno 2.9.3 trusts a chain by the mere names of its issuers when one of
 * its certificates cannot be read by webpki, as those of X.509 version 1 (denoland/deno#36248).
 */
import { X509Certificate } from "node:crypto";
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";

/** The longest certificate chain that is accepted. */
const LONGEST_CHAIN = 8;

/**
 * Creates the `checkServerIdentity` for clients of node:tls, node:https and grpc-js: it resolves to the fault of a
 * server's certificate, or undefined.
 *
 * Any attacker who knows an authority's name could make a chain that Deno trusts. So the signatures from the server's
 * certificate up to an authority are verified here again. Certificates of version 1 are refused: for these Deno does not even
 * verify that the server has the key.
 *
 * @param ca PEM of the trusted authorities; it must be what the client was given.
 */
export function serverCheck(
  ca: Uint8Array | string,
): (host: string, certificate: PeerCertificate) => Error | undefined {
  const pem = typeof ca === "string" ? ca : new TextDecoder().decode(ca);
  return (host, certificate) => {
    const [own, ...presented] = chainOf(certificate);
    if (!own || !isVersion3(own.raw)) {
      return new Error(
        "its certificate is not of X.509 version 3, and cannot be verified: make one of version 3",
      );
    }
    if (!isSigned(own, presented, authoritiesIn(pem))) {
      return new Error("its certificate is not signed by an authority that is trusted");
    }
    return checkServerIdentity(host, certificate);
  };
}

/** True for a DER certificate of version 3 (RFC 5280 §4.1.2.1). */
export function isVersion3(der: Uint8Array): boolean {
  const { from } = signedPart(der) ?? {};
  return from !== undefined && [0xa0, 3, 2, 1, 2].every((byte, i) => der[from + i] === byte);
}

/** An element of DER (X.690 §8.1). */
interface Element {
  readonly tag: number;
  /** The positions of its contents. */
  readonly from: number;
  readonly to: number;
}

/**
 * Returns the tbsCertificate (RFC 5280 §4.1); undefined when the structure around it is not DER: readers differ over
 * such a certificate, and its owner could change it without invalidating its signature.
 */
function signedPart(der: Uint8Array): Element | undefined {
  const all = elementAt(der, 0);
  const signed = all && elementAt(der, all.from);
  const algorithm = signed && elementAt(der, signed.to);
  const signature = algorithm && elementAt(der, algorithm.to);
  if (!signature || all.to !== der.length || signature.to !== all.to) return undefined;
  const tags = [all, signed, algorithm, signature].map(({ tag }) => tag).join();
  // A BIT STRING's first byte counts its unused bits.
  return tags === "48,48,48,3" && der[signature.from] === 0 ? signed : undefined;
}

function elementAt(der: Uint8Array, at: number): Element | undefined {
  const tag = der[at], first = der[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const more = first & 0x80 ? first & 0x7f : 0;
  const length = more
    ? der.subarray(at + 2, at + 2 + more).reduce((sum, byte) => sum * 256 + byte, 0)
    : first;
  // DER requires the shortest encoding of the length.
  const shortest = length < 0x80 ? 0 : Math.ceil(Math.log2(length + 1) / 8);
  const from = at + 2 + more, to = from + length;
  return more === shortest && to <= der.length ? { tag, from, to } : undefined;
}

/** The server's certificate and the others that it sent. */
function chainOf(certificate: PeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: Partial<DetailedPeerCertificate> | undefined = certificate;
  while (next?.raw && chain.length < LONGEST_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

function authoritiesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/**
 * True when a chain of signatures leads from the certificate, possibly over the presented ones, to a trusted
 * authority.
 */
function isSigned(
  certificate: X509Certificate,
  presented: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): boolean {
  const { raw, validFromDate, validToDate } = certificate;
  const now = Date.now();
  if (!isVersion3(raw) || validFromDate.getTime() > now || validToDate.getTime() < now) return false;
  const issuedBy = (issuer: X509Certificate) =>
    certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  return trusted.some(issuedBy) ||
    presented.some((issuer, i) =>
      issuer.ca && issuedBy(issuer) && isSigned(issuer, presented.toSpliced(i, 1), trusted)
    );
}
