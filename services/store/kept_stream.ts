/**
 * A gRPC stream to one etcd member that is kept open for requests which are made over and over, as the renewal of a lease is.
 * A request is then one message each way, in place of a call with headers and trailers of its own.
 */
import { afterTime } from "./call_timer.ts";
import { lateCall } from "./failure.ts";
import type { RawStream } from "./raw_stream.ts";

interface Request {
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** Opens the stream with the first request, and again with the next one after it has failed. */
export class KeptStream {
  #stream: RawStream | undefined;
  /** Those that wait for an answer, in the order in which etcd answers them. */
  #waiting: Request[] = [];

  /** @param open Opens the stream; its failure comes as an "error" event. */
  constructor(private readonly open: () => RawStream) {}

  /** Sends one request and resolves with its answer. Rejects with grpc-js's ServiceError, or when there is none in time. */
  async send(request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const stream = this.#stream ??= this.#opened();
    let stop = () => {};
    try {
      return await new Promise<Uint8Array>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        // The answers that come later could not be told apart: all of them are given up.
        stop = afterTime(timeoutMs, () => this.#fail(stream, lateCall(timeoutMs, true)));
        stream.write(request);
      });
    } finally {
      stop();
    }
  }

  close(): void {
    this.#stream?.cancel();
  }

  #opened(): RawStream {
    const stream = this.open();
    stream.on("data", (answer: Uint8Array) => this.#waiting.shift()?.resolve(answer));
    stream.on("error", (error) => this.#fail(stream, error));
    stream.on("end", () => this.#fail(stream, new Error("etcd ended the stream")));
    return stream;
  }

  #fail(stream: RawStream, error: unknown): void {
    if (stream !== this.#stream) return;
    this.#stream = undefined;
    stream.cancel();
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
