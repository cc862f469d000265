/** The adapter from this project's byte streams to Node's streams, for code that takes only these. */
import { Buffer } from "node:buffer";
import { ByteStreamDuplex } from "./byte_stream_duplex.ts";

/** A stream of Node's that is read as fast as its reader takes the bytes. */
export class NodeStream extends ByteStreamDuplex {
  override _read(): void {
    this.transport.read().then(
      // An end's bytes are valid only until its next read.
      (bytes) => this.push(bytes ? Buffer.from(bytes.slice().buffer) : null),
      (error) => this.destroy(error),
    );
  }
}
