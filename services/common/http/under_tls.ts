import { EndStream } from "./end_stream.ts";
import type { End } from "./ends.ts";
import type { ClientPeer } from "./request_socket.ts";

/**
 * The connection under TLS. Node's TLS reads on into memory without limit while it is paused, so the reader of what was
 * decrypted holds this connection instead; the kernel then holds the client back.
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
