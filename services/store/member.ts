import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import { serverCheck } from "../common/server_identity.ts";
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
  type VerifyOptions,
} from "@grpc/grpc-js";
import type { TlsMaterial } from "../common/tls.ts";

/** A stream of raw etcd messages in both directions. */
export type RawStream = ClientDuplexStream<Uint8Array, Uint8Array>;

const MAX_MESSAGE = 256 << 20;

/** One etcd member and the one channel to it. A request is sent once or not at all. */
export class Member {
  readonly #client: Client;

  /** Opens nothing yet; `endpoint` is like `https://10.0.0.1:2379`. */
  constructor(readonly endpoint: string, tls: TlsMaterial | undefined) {
    const url = new URL(endpoint);
    const address = /:\d+$/.test(url.host) ? url.host : `${url.host}:${url.protocol === "https:" ? 443 : 80}`;
    const security = tls
      ? secure(url.hostname, tls)
      : { credentials: credentials.createInsecure(), options: {} };
    this.#client = new Client(address, security.credentials, { ...channelOptions, ...security.options });
  }

  get connected(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Connects if need be: true once connected, false as soon as that failed or `timeoutMs` are over. */
  async connect(timeoutMs: number): Promise<boolean> {
    const channel = this.#client.getChannel();
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
    return await new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      this.#client.makeUnaryRequest(path, toBuffer, same, request, needsLeader, options, (error, answer) => {
        if (error) reject(error);
        else resolve(answer ?? new Uint8Array());
      });
    });
  }

  /** Opens a stream of raw messages; its failure comes as an "error" event. */
  stream(path: string): RawStream {
    return this.#client.makeBidiStreamRequest(path, toBuffer, same, needsLeader);
  }

  close(): void {
    this.#client.close();
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

const channelOptions: ChannelOptions = {
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.min_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 500,
  // etcd hangs up on who pings more often than every 5 s.
  "grpc.keepalive_time_ms": 6_000,
  "grpc.keepalive_timeout_ms": 4_000,
  "grpc.enable_retries": 0,
  // Shared with another connection of this process, its failures would come without their reason.
  "grpc.use_local_subchannel_pool": 1,
  // Neither is of use here: one costs a look-up, the other sends local calls through a proxy.
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.max_receive_message_length": MAX_MESSAGE,
  "grpc.max_send_message_length": MAX_MESSAGE,
};

function secure(host: string, tls: TlsMaterial) {
  const pem = (bytes: Uint8Array | undefined) => bytes ? Buffer.from(bytes) : null;
  const options: ChannelOptions = {};
  const verify: VerifyOptions = { rejectUnauthorized: !tls.unverified };
  const bare = host.replace(/^\[|\]$/g, "");
  // Deno refuses an IP address as server name (RFC 6066 §3 has none): any name goes out, the address is checked.
  if (isIP(bare)) options["grpc.ssl_target_name_override"] = "etcd";
  const check = tls.ca && !tls.unverified ? serverCheck(tls.ca) : checkServerIdentity;
  verify.checkServerIdentity = (_, certificate) => check(bare, certificate);
  return { credentials: credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), verify), options };
}
