/**
 * A connection as nexd gives it to HTTP/2, with its bytes passed on a kilobyte at a time. However many clients send,
 * all of them together get only a part of this process's time, see {@link WorkScheduler}.
 */
import { Buffer } from "node:buffer";
import { ByteStreamDuplex } from "../common/http/byte_stream_duplex.ts";
import type { ByteStream } from "../common/http/byte_stream.ts";
import { WorkScheduler } from "../common/http/work_scheduler.ts";

/** The bytes that are parsed at a time: they may contain some 30 calls, each begun and reset at once. */
const PIECE = 1024;

/** The connection, as a duplex stream of Node's. */
export class PacedSocket extends ByteStreamDuplex {
  #wake = () => {};
  static readonly #turns = new WorkScheduler();

  /** The address and port are the client's; grpc-js names a call's peer by them. */
  constructor(
    end: ByteStream,
    readonly remoteAddress: string | undefined,
    readonly remotePort: number | undefined,
  ) {
    super(end);
    // A client that has ended its side has ended its calls.
    this.allowHalfOpen = false;
    void this.#feed();
  }

  override _read(): void {
    this.#wake();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    super._destroy(error, done);
    this.#wake();
  }

  async #feed(): Promise<void> {
    try {
      for (let read; (read = await this.transport.read());) {
        for (let at = 0; at < read.length; at += PIECE) {
          await PacedSocket.#turns.next();
          if (this.destroyed) return;
          if (this.push(Buffer.from(read.subarray(at, at + PIECE)))) continue;
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
      }
      this.push(null);
    } catch {
      // The client has closed the connection, or this socket was destroyed.
      this.destroy();
    }
  }
}
