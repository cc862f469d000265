/**
 * Opens client connections: TCP, TLS with a client certificate, or a Unix socket of this machine.
 *
 * TLS is Deno's own and not Node's: Node's in 2.9.3 accepts unverified servers (see deno/server_identity.ts), and
 * sometimes misses the end of what a server sends.
 */
import { abortable } from "../async.ts";
import type { HostPort } from "../host_port.ts";
import type { TlsMaterial } from "../tls.ts";
import { type Abort, type ByteStream, ConnectionStream } from "./byte_stream.ts";

/** The address of a server. */
export type Address = TcpAddress | { readonly socket: string };

export interface TcpAddress extends HostPort {
  /** Undefined: without TLS. */
  readonly tls?: TlsMaterial | undefined;
}

export interface DialOptions {
  /** Aborts the attempt; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** See {@link ConnectionStream}; needed by processes that outlive the connection. */
  readonly abort?: Abort;
}

/** @throws Error of Deno's when there is no connection; Refusal "invalid" for a certificate that cannot be shown */
export async function dial(address: Address, { signal, abort }: DialOptions = {}): Promise<ByteStream> {
  if ("socket" in address) {
    const connection = Deno.connect({ transport: "unix", path: address.socket });
    return new ConnectionStream(await abortable(connection, signal, close));
  }
  const { host: hostname, port, tls } = address;
  if (tls) return new ConnectionStream(await secure(hostname, port, tls, signal));
  const connecting = Deno.connect({ hostname, port, ...(signal && { signal }) });
  const connection = await abortable(connecting, signal, close);
  // Keepalive probes notice when the other side disappeared without closing.
  connection.setKeepAlive(true);
  connection.setNoDelay(true);
  return new ConnectionStream(connection, abort ? { abort } : {});
}

async function secure(
  hostname: string,
  port: number,
  tls: TlsMaterial,
  signal: AbortSignal | undefined,
): Promise<Deno.TlsConn> {
  // This is loaded only when needed, since command-line programs must start quickly.
  const { assertUsable } = await import("../deno/client_certificate.ts");
  assertUsable(tls);
  const text = (pem: Uint8Array) => new TextDecoder().decode(pem);
  const opening = Deno.connectTls({
    hostname,
    port,
    ...(tls.ca && { caCerts: [text(tls.ca)] }),
    ...(tls.cert && tls.key && { cert: text(tls.cert), key: text(tls.key) }),
  });
  const connection = await abortable(opening, signal, close);
  try {
    await abortable(connection.handshake(), signal);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function close(connection: Deno.Conn): void {
  connection.close();
}
