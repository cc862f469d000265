import { Duplex } from "node:stream";
import type { End } from "./ends.ts";

/**
 * A node:stream on top of an {@link End}: what is written goes to it, and destroying the stream closes it. How it is
 * read is for the subclass to say.
 */
export abstract class EndDuplex extends Duplex {
  constructor(protected readonly transport: End) {
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
