import { X509Certificate } from "node:crypto";
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";

/** A server that sends a longer chain is refused. */
const LONGEST_CHAIN = 8;

/**
 * The `checkServerIdentity` for clients of node:tls, node:https and grpc-js: it resolves to what is wrong with a server's
 * certificate, or undefined.
 *
 * Deno 2.9.3 trusts a chain by the mere names of its issuers when one of its certificates cannot be read by webpki, as
 * those of X.509 version 1 (denoland/deno#36248): anyone who knows an authority's name could make one. So the signatures
 * from the server's certificate up to an authority are verified here once more. A certificate of version 1 is not taken at
 * all: Deno does not verify either that the server that shows it has its key.
 *
 * @param ca PEM of the authorities that are trusted; it must be what the client was given.
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

/** True for a certificate in DER whose version field (RFC 5280 §4.1.2.1) says 3. */
export function isVersion3(der: Uint8Array): boolean {
  const { from } = signedPart(der) ?? {};
  return from !== undefined && [0xa0, 3, 2, 1, 2].every((byte, i) => der[from + i] === byte);
}

/** An element of DER (X.690 §8.1). */
interface Element {
  readonly tag: number;
  /** Where its contents begin and end. */
  readonly from: number;
  readonly to: number;
}

/**
 * The tbsCertificate (RFC 5280 §4.1); undefined when what is around it is not encoded as DER wants: readers differ over
 * such a certificate, and its owner could change it without breaking its signature.
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
  // Its length in as few bytes as it can be said in.
  const shortest = length < 0x80 ? 0 : Math.ceil(Math.log2(length + 1) / 8);
  const from = at + 2 + more, to = from + length;
  return more === shortest && to <= der.length ? { tag, from, to } : undefined;
}

/** The server's certificate and those that it sent along. */
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

/** True when signatures lead from the certificate, perhaps by way of those presented, to one that is trusted. */
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
