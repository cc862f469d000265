/** Performs the TLS handshake of an accepted connection, and logs why one has failed. */
import type { Socket } from "node:net";
import type { PeerCertificate, Server, TLSSocket } from "node:tls";
import { type Log, OncePerMinute } from "../log.ts";
import { printable } from "../refusal.ts";
import type { ByteStream } from "./byte_stream.ts";
import type { ClientPeer } from "./request_socket.ts";
import { TlsStream } from "./tls_stream.ts";
import { UnderTls } from "../deno/under_tls.ts";

/**
 * Starts TLS on a connection, and calls `secured` when the handshake has succeeded, with what the client's certificate says it is;
 * a failure is an event of `tls`.
 */
export function handshake(
  tls: Server,
  end: ByteStream,
  peer: Pick<ClientPeer, "remoteAddress">,
  secured: (end: ByteStream, certificate: string | undefined) => void,
): void {
  const under = new UnderTls(end, peer);
  // Node reports a finished handshake as an event of the server. This object inherits from the server and has only
  // this client's events.
  const server: Server = Object.create(tls, {
    emit: {
      value: (event: string, ...args: unknown[]) => {
        if (event === "secureConnection") {
          const socket = args[0] as TLSSocket;
          secured(new TlsStream(socket, under), nameOf(socket));
        }
        if (event !== "tlsClientError") return;
        tls.emit(event, args[0], args[1], peer.remoteAddress);
        under.close();
      },
    },
  });
  for (const listener of tls.listeners("connection")) listener.call(server, under as unknown as Socket);
}

/** The common name of the peer's certificate, or else all of its subject, or its names. */
function nameOf(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerCertificate() as Partial<PeerCertificate> | null;
  const { subject, subjectaltname } = certificate ?? { subject: undefined, subjectaltname: undefined };
  if (!subject) return undefined;
  const all = Object.entries(subject).map(([key, value]) => `${key}=${value}`).join(", ");
  return [subject.CN].flat()[0] || all || subjectaltname;
}

/** Logs why handshakes of clients failed, each cause once a minute. */
export function logHandshakes(server: Server, log: Log): void {
  const once = new OncePerMinute();
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket, client?: string) => {
    const why = explained(error, socket);
    if (!once.due(why ?? "left")) return;
    if (why === undefined) log.debug({ client }, "a client has left before TLS was set up");
    else log.warn({ client }, `a client is refused: ${why}`);
  });
}

/** The cause and the remedy; undefined: the client itself closed. */
function explained(error: NodeJS.ErrnoException, socket: TLSSocket): string | undefined {
  if (error.code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") {
    return "it shows no certificate; one that HTTP_TLS_CA has signed is needed";
  }
  if (socket.authorizationError) {
    return `its certificate is not accepted (${socket.authorizationError}): it has expired, or HTTP_TLS_CA has not ` +
      "signed it, or it is of X.509 version 1, as openssl x509 -req makes it without -extfile, and must be signed again";
  }
  if (error.code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    return "it does not speak TLS; the URL begins with https here";
  }
  return error.code === "ECONNRESET" ? undefined : printable(error.message);
}
