import { EndStream } from "./end_stream.ts";
import type { End } from "./ends.ts";
import type { ClientPeer } from "./request_socket.ts";

/**
 * The encrypted side of a TLS connection. Node's TLS reads into memory without limit while it is paused, so the
 * reader of the decrypted side pauses this stream instead; the kernel then holds the client back.
 */
export class UnderTls extends EndStream {
  readonly remoteAddress: string | undefined;
  #held = false;
  #waiting = false;

  constructor(end: End, { remoteAddress }: Pick<ClientPeer, "remoteAddress">) {
    super(end);
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
    if (!this.#waiting) super._read();
  }
}
