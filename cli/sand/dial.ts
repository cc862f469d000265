import { Duplex } from "node:stream";
import type { TlsMaterial } from "../../services/common/tls.ts";

/**
 * Connects to a host, with TLS where `tls` is given, as a stream of Node's.
 *
 * Deno's own TLS rather than Node's: in 2.9.3 that one takes servers unverified (see services/common/server_identity.ts)
 * and now and then misses the end of what a server says.
 */
export async function dial(hostname: string, port: number, tls: TlsMaterial | undefined): Promise<Duplex> {
  if (!tls) return streamOf(await Deno.connect({ hostname, port }));
  const text = (pem: Uint8Array) => new TextDecoder().decode(pem);
  const connection = await Deno.connectTls({
    hostname,
    port,
    ...(tls.ca && { caCerts: [text(tls.ca)] }),
    ...(tls.cert && tls.key && { cert: text(tls.cert), key: text(tls.key) }),
  });
  await connection.handshake();
  // It can be half-closed too, though its type does not say so.
  return streamOf(connection as unknown as Deno.TcpConn);
}

/** A connection as a stream of Node's, each of whose directions ends by itself. */
export function streamOf(connection: Deno.TcpConn): Duplex {
  const buffer = new Uint8Array(65_536);
  return new Duplex({
    read() {
      connection.read(buffer).then(
        (n) => this.push(n === null ? null : buffer.slice(0, n)),
        (error) => this.destroy(error),
      );
    },
    write(chunk: Uint8Array, _encoding, done) {
      writeAll(connection, chunk).then(() => done(), done);
    },
    final(done) {
      connection.closeWrite().then(() => done(), done);
    },
    destroy(error, done) {
      connection.close();
      done(error);
    },
  });
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  while (bytes.length) bytes = bytes.subarray(await connection.write(bytes));
}
