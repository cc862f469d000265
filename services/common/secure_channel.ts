/** The TLS settings of grpc-js channels, which the connection to etcd and the program `nex` share. */
import { Buffer } from "node:buffer";
import { checkServerIdentity } from "node:tls";
import { type ChannelCredentials, type ChannelOptions, credentials, type VerifyOptions } from "@grpc/grpc-js";
import { serverCheck } from "./deno/server_identity.ts";
import { Ip } from "./ip.ts";
import type { TlsContents } from "./tls_contents.ts";

/** A channel's credentials, and the options that they need. */
export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/**
 * @param host The server's name or address, which its certificate must be for.
 * @param name Goes out as the TLS server name in place of an address.
 */
export function secureChannel(host: string, tls: TlsContents, name: string): ChannelSecurity {
  const pem = (bytes: Uint8Array | undefined) => bytes ? Buffer.from(bytes) : null;
  const check = tls.ca && !tls.unverified ? serverCheck(tls.ca) : checkServerIdentity;
  const verify: VerifyOptions = {
    rejectUnauthorized: !tls.unverified,
    checkServerIdentity: (_, certificate) => check(host, certificate),
  };
  return {
    credentials: credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), verify),
    // grpc-js would send the address, which RFC 6066 §3 has no place for: node:tls throws.
    options: Ip.tryParse(host) ? { "grpc.ssl_target_name_override": name } : {},
  };
}
