/** The writing half of an adapter from this project's byte streams to Node's streams. */
import { Duplex } from "node:stream";
import type { ByteStream } from "./byte_stream.ts";

/**
 * A node:stream over an {@link ByteStream}: writes go to it, and destroying the stream closes it. Subclasses define how it
 * is read.
 */
export abstract class ByteStreamDuplex extends Duplex {
  constructor(protected readonly transport: ByteStream) {
    super({ allowHalfOpen: true });
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.transport.write(bytes).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.transport.finish().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.transport.close();
    done(error);
  }
}
