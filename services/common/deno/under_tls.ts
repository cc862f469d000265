/** The connection under node:tls, which in Deno 2.9.3 reads on into memory without limit while it is paused. */
import { EndStream } from "../http/end_stream.ts";
import type { End } from "../http/ends.ts";
import type { ClientPeer } from "../http/request_socket.ts";

/** The reader of the decrypted side pauses this stream in place of TLS; the kernel then holds the client back. */
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
