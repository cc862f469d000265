import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { End } from "./ends.ts";
import type { Peer } from "./request_socket.ts";

/**
 * The connection under TLS. Node's TLS reads on into memory without limit when it is paused, so whoever reads what was
 * decrypted holds this one instead; the kernel then holds the client back.
 */
export class UnderTls extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly #end: End;
  #held = false;
  #waiting = false;

  constructor(end: End, { remoteAddress }: Pick<Peer, "remoteAddress">) {
    super({ allowHalfOpen: true });
    this.#end = end;
    this.remoteAddress = remoteAddress;
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    if (this.#waiting) this._read();
  }

  override _read(): void {
    this.#waiting = this.#held;
    if (this.#waiting) return;
    this.#end.read().then(
      (bytes) => this.push(bytes ? Buffer.from(bytes.slice().buffer) : null),
      (error) => this.destroy(error),
    );
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#end.write(bytes).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#end.finish().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#end.close();
    done(error);
  }
}
