/**
 * Opens client connections with Node's own modules: in the npm package of the agent's client, this file is in the place of dial.ts,
 * whose functions are Deno's.
 */
import { Buffer } from "node:buffer";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { HostPort } from "../host_port.ts";
import type { TlsContents } from "../tls_contents.ts";
import type { ByteStream } from "./byte_stream.ts";

/** The address of a server. */
export type Address = TcpAddress | { readonly socket: string };

export interface TcpAddress extends HostPort {
  /** Undefined: without TLS. */
  readonly tls?: TlsContents | undefined;
}

/** @throws Error of Node's when there is no connection, and the signal's reason when it is aborted before there is one */
export async function dial(
  address: Address,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ByteStream> {
  signal?.throwIfAborted();
  const socket = opened(address);
  await new Promise<void>((resolve, reject) => {
    const abort = () => socket.destroy(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    socket.once("error", reject);
    socket.once("tls" in address && address.tls ? "secureConnect" : "connect", () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
  });
  return new SocketStream(socket);
}

function opened(address: Address): Socket {
  if ("socket" in address) return connect({ path: address.socket, allowHalfOpen: true });
  const { host, port, tls } = address;
  const options = { host, port, allowHalfOpen: true, noDelay: true, keepAlive: true };
  if (!tls) return connect(options);
  const { cert, key, ca, unverified = false } = tls;
  return connectTls({
    ...options,
    ...(ca && { ca: Buffer.from(ca) }),
    ...(cert && key && { cert: Buffer.from(cert), key: Buffer.from(key) }),
    ...(!isIP(host) && { servername: host }),
    rejectUnauthorized: !unverified,
  });
}

/** An end over a socket of Node's. */
class SocketStream implements ByteStream {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket.iterator({ destroyOnReturn: false });
    // An error is thrown by the read or write that it concerns; without a listener it would end the process.
    socket.on("error", () => {});
  }

  async read(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#chunks.next();
    return done ? undefined : value;
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      void this.#socket.write(bytes, (error) => error ? reject(error) : resolve())
    );
  }

  finish(): Promise<void> {
    return new Promise((resolve) => void this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }

  abort(): void {
    this.#socket.resetAndDestroy();
  }
}
