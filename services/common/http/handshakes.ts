import type { Server, TLSSocket } from "node:tls";
import { type Log, OncePerMinute } from "../log.ts";
import { printable } from "../refusal.ts";

/** Logs why clients did not get through the handshake, each cause once a minute. */
export function logHandshakes(server: Server, log: Log): void {
  const once = new OncePerMinute();
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket, client?: string) => {
    const why = explained(error, socket);
    if (!once.due(why ?? "left")) return;
    if (why === undefined) log.debug({ client }, "a client has left before TLS was set up");
    else log.warn({ client }, `a client is refused: ${why}`);
  });
}

/** Why, and what is to be done; undefined: the client itself has left. */
function explained(error: NodeJS.ErrnoException, socket: TLSSocket): string | undefined {
  if (error.code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") {
    return "it shows no certificate; one that HTTP_TLS_CA has signed is needed";
  }
  if (socket.authorizationError) {
    return `its certificate is not accepted (${socket.authorizationError}): it has expired, or HTTP_TLS_CA has not ` +
      "signed it, or it is of X.509 version 1, as openssl x509 -req makes it without -extfile, and must be signed anew";
  }
  if (error.code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    return "it does not speak TLS; the URL begins with https here";
  }
  return error.code === "ECONNRESET" ? undefined : printable(error.message);
}
