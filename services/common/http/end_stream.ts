import { Buffer } from "node:buffer";
import { EndDuplex } from "./end_duplex.ts";

/** A stream of Node's that is read as fast as its reader takes the bytes. */
export class EndStream extends EndDuplex {
  override _read(): void {
    this.transport.read().then(
      // What an end gives is valid until its next read only.
      (bytes) => this.push(bytes ? Buffer.from(bytes.slice().buffer) : null),
      (error) => this.destroy(error),
    );
  }
}
