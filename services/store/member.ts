import { Buffer } from "node:buffer";
import { type Client, type ClientDuplexStream, connectivityState, Metadata } from "@grpc/grpc-js";
import { noop } from "cockatiel";
import { Etcd3, type IOptions } from "etcd3";
import type { TlsMaterial } from "../common/tls.ts";

/** A stream of raw etcd messages in both directions. */
export type RawStream = ClientDuplexStream<Uint8Array, Uint8Array>;

const MAX_MESSAGE = 256 << 20;

/**
 * One etcd member: etcd3 gives the credentials and the channel, with all of its own fault handling off, so a
 * request is sent once or not at all. The messages on it are our own (messages.ts).
 */
export class Member extends Etcd3 {
  #client: Client | undefined;

  constructor(readonly endpoint: string, tls: TlsMaterial | undefined) {
    super(optionsOf(endpoint, tls));
  }

  get connected(): boolean {
    return this.#client?.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Connects if need be: true once connected, false as soon as that failed or `timeoutMs` are over. */
  async connect(timeoutMs: number): Promise<boolean> {
    const channel = (await this.#open()).getChannel();
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return true;
      if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) return false;
      const late = await new Promise((resolve) => channel.watchConnectivityState(state, deadline, resolve));
      if (late) return false;
    }
  }

  /** Sends one request. Rejects with grpc-js's ServiceError, see {@link verdictOf}. */
  async call(path: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const client = this.#client ?? await this.#open();
    return await new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      client.makeUnaryRequest(path, toBuffer, same, request, needsLeader, options, (error, answer) => {
        if (error) reject(error);
        else resolve(answer ?? new Uint8Array());
      });
    });
  }

  /** Opens a stream of raw messages; its failure comes as an "error" event. */
  async stream(path: string): Promise<RawStream> {
    return (await this.#open()).makeBidiStreamRequest(path, toBuffer, same, needsLeader);
  }

  async #open(): Promise<Client> {
    return this.#client ??= await this.pool.withConnection("KV", ({ client }) => client);
  }
}

/** A member cut off from its peers answers "no leader" at once, rather than late or, on a watch, never. */
const needsLeader = new Metadata();
needsLeader.set("hasleader", "true");

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function same(bytes: Uint8Array): Uint8Array {
  return bytes;
}

function optionsOf(endpoint: string, tls: TlsMaterial | undefined): IOptions {
  return {
    hosts: endpoint,
    ...(tls?.ca && {
      credentials: {
        rootCertificate: Buffer.from(tls.ca),
        ...(tls.key && tls.cert && { privateKey: Buffer.from(tls.key), certChain: Buffer.from(tls.cert) }),
      },
    }),
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.min_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
      // etcd hangs up on who pings more often than every 5 s.
      "grpc.keepalive_time_ms": 6_000,
      "grpc.keepalive_timeout_ms": 4_000,
      "grpc.enable_retries": 0,
      "grpc.max_receive_message_length": MAX_MESSAGE,
      "grpc.max_send_message_length": MAX_MESSAGE,
    },
  };
}
