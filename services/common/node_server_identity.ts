/**
 * Verification of a server's certificate in Node, whose TLS has verified its chain already: in packages of npm, this file is in the
 * place of deno/server_identity.ts.
 */
import { checkServerIdentity } from "node:tls";

/** Returns the `checkServerIdentity` for clients of node:tls and grpc-js. */
export function serverCheck(_authorities: Uint8Array | string): typeof checkServerIdentity {
  return checkServerIdentity;
}
