/** The type of the certificate, key and authorities that a client uses for TLS. */

/** The contents of PEM files. */
export interface TlsContents {
  /** A certificate with those between it and its authority. Undefined: none is shown. */
  readonly cert: Uint8Array | undefined;
  /** The certificate's private key. */
  readonly key: Uint8Array | undefined;
  /** The authorities that are trusted. Undefined: those of the system. */
  readonly ca: Uint8Array | undefined;
  /** True: the server's certificate is not verified. */
  readonly unverified?: boolean;
}
