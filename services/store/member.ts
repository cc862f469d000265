/** One member of the etcd cluster: its connection, its calls and the detection of a member that hangs. */
import { Buffer } from "node:buffer";
import {
  type ChannelInterface,
  type ChannelOptions,
  Client,
  connectivityState,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { type ChannelSecurity, secureChannel } from "../common/secure_channel.ts";
import type { TlsMaterial } from "../common/tls.ts";
import { afterTime } from "./call_timer.ts";
import { isLate, lateCall, notConnected } from "./failure.ts";
import { KeptStream } from "./kept_stream.ts";
import { targetUntilAborted } from "./lifeline.ts";
import { decodeRange, encodeRange } from "./messages.ts";
import type { RawStream } from "./raw_stream.ts";
import { unaryCall } from "./unary_call.ts";

const MAX_MESSAGE = 256 << 20;

/** A connection attempt that takes longer than this is aborted and started again, in ms. */
const CONNECT_MS = 2_000;
/** How long a member with pending requests may say nothing before it is probed, and how long the probe may take, in ms. */
const PROBE_AFTER_MS = 2_200, PROBE_MS = 2_000;
/** After a request timed out, the member has this long to answer any other request, in ms. */
const SUSPECT_MS = 1_000;
/** A timer this late, in ms, shows that this process was stopped or busy: the member is not to blame for a timeout. */
const STALL_MS = 500;

const RANGE = "/etcdserverpb.KV/Range";
const anyKey = encodeRange({ key: "\0", keysOnly: true, serializable: true });

/**
 * One etcd member and the one channel to it. A request is sent once or not at all. A member that hangs is found while a
 * request or stream waits for it, and everything that waits fails then.
 */
export class EtcdMember {
  readonly #address: string;
  readonly #security: ChannelSecurity;
  #client: Client;
  /** Aborted to close the client's sockets in any state. */
  #lifeline: AbortController;
  /** Since when the client has been trying to connect (performance.now()); undefined: it is not. */
  #connecting: number | undefined;
  /** The number of pending requests and streams. */
  #waiting = 0;
  /** When it last answered anything (performance.now()). */
  #heard = 0;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #kept = new Map<string, KeptStream>();

  /** Opens nothing yet; `endpoint` is like `https://10.0.0.1:2379`. */
  constructor(readonly endpoint: string, tls: TlsMaterial | undefined) {
    const url = new URL(endpoint);
    this.#address = /:\d+$/.test(url.host) ? url.host : `${url.host}:${url.protocol === "https:" ? 443 : 80}`;
    this.#security = tls
      ? secureChannel(url.hostname.replace(/^\[|\]$/g, ""), tls, "etcd")
      : { credentials: credentials.createInsecure(), options: {} };
    [this.#client, this.#lifeline] = this.#newClient();
  }

  get connected(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Connects if need be: true once connected, false as soon as that failed or its time is over. */
  async connect(): Promise<boolean> {
    let deadline = performance.now() + CONNECT_MS;
    for (;;) {
      const now = performance.now();
      const channel = this.#client.getChannel(), state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) {
        this.#connecting = undefined;
        return true;
      }
      if (state === connectivityState.SHUTDOWN) return false;
      this.#connecting ??= now;
      // The kernel retransmits a lost SYN after growing delays, up to 32 s: a new attempt is answered sooner.
      const left = this.#connecting + CONNECT_MS - now;
      if (left <= 0) this.drop();
      if (now >= deadline || state === connectivityState.TRANSIENT_FAILURE) return false;
      if (left <= 0) continue;
      const wait = Math.min(left, deadline - now);
      await changed(channel, state, wait);
      // This process was stopped or busy, and has not processed its events yet: the attempt gets its full time again.
      const woken = performance.now();
      if (woken - now > wait + STALL_MS) deadline = (this.#connecting = woken) + CONNECT_MS;
    }
  }

  /**
   * Sends one request over the connection that {@link EtcdMember.connect} made. Rejects with grpc-js's
   * ServiceError, see {@link verdictOf}.
   * @param kept Over a stream that stays open: for a method with streams both ways that answers each message with one.
   */
  async call(path: string, request: Uint8Array, timeoutMs: number, kept = false): Promise<Uint8Array> {
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state !== connectivityState.READY && state !== connectivityState.TRANSIENT_FAILURE) {
      throw notConnected(`no connection to ${this.#address} within ${CONNECT_MS / 1_000} s`);
    }
    try {
      return await (kept
        ? this.#keptStream(path).send(request, timeoutMs)
        : this.#send(path, request, timeoutMs));
    } catch (error) {
      if (isLate(error)) void this.#probe(SUSPECT_MS);
      throw error;
    }
  }

  /** Opens a stream of raw messages; its failure comes as an "error" event. */
  stream(path: string): RawStream {
    const stream = this.#client.makeBidiStreamRequest(path, toBuffer, same, needsLeader);
    const done = this.#wait();
    stream.on("data", () => this.#heard = performance.now());
    stream.on("status", done);
    return stream;
  }

  /** The newest revision that this member itself has applied. Rejects as {@link EtcdMember.call} does. */
  async revision(timeoutMs = PROBE_MS): Promise<number> {
    return decodeRange(await this.#send(RANGE, anyKey, timeoutMs)).header.revision;
  }

  /** Closes the connection, or aborts the attempt: pending requests fail, and the next request connects again. */
  drop(): void {
    // A probe that began before may end after close(): a new client would be connected, and closed by nothing.
    if (this.#closed) return this.#lifeline.abort();
    const client = this.#client, lifeline = this.#lifeline;
    this.#connecting = undefined;
    [this.#client, this.#lifeline] = this.#newClient();
    lifeline.abort();
    client.close();
  }

  /** Closes the streams of calls that are `kept`; what waits for an answer there fails. */
  closeKept(): void {
    for (const kept of this.#kept.values()) kept.close();
  }

  /** Closes the connection for good. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#watchdog);
    this.closeKept();
    if (!this.connected) this.#lifeline.abort();
    this.#client.close();
  }

  #keptStream(path: string): KeptStream {
    let kept = this.#kept.get(path);
    if (!kept) this.#kept.set(path, kept = new KeptStream(() => this.stream(path)));
    return kept;
  }

  #newClient(): [Client, AbortController] {
    const lifeline = new AbortController();
    const { target, options } = targetUntilAborted(lifeline.signal, this.#address);
    const all = { ...channelOptions, ...this.#security.options, ...options };
    return [new Client(target, this.#security.credentials, all), lifeline];
  }

  async #send(path: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const done = this.#wait(), client = this.#client;
    // grpc-js's own deadline would end the call before an answer that has arrived is read.
    return await new Promise<Uint8Array>((resolve, reject) => {
      const call = unaryCall(client.getChannel(), path, toBuffer(request), needsLeader, (error, answer) => {
        stop();
        if (late) return;
        this.#heard = performance.now();
        if (error) reject(error);
        else resolve(answer);
      });
      let late = false;
      const stop = afterTime(timeoutMs, () => {
        late = true;
        // A call without a connection has the channel's name in place of its peer's.
        const sent = call.getPeer() !== client.getChannel().getTarget();
        call.cancel();
        reject(lateCall(timeoutMs, sent));
      });
    }).finally(done);
  }

  /** Counts a pending request until the returned function is called. */
  #wait(): () => void {
    this.#waiting++;
    if (!this.#closed) this.#watchdog ??= setTimeout(() => this.#watch(), PROBE_AFTER_MS);
    return () => this.#waiting--;
  }

  /** Probes the member as soon as something has waited for it, and it has said nothing, for {@link PROBE_AFTER_MS}. */
  #watch(): void {
    const silent = performance.now() - this.#heard, probed = this.#waiting > 0 && silent >= PROBE_AFTER_MS;
    if (probed) void this.#probe(PROBE_MS);
    const wait = probed || !this.#waiting ? PROBE_AFTER_MS : PROBE_AFTER_MS - silent;
    this.#watchdog = setTimeout(() => this.#watch(), wait);
  }

  /** Closes the connection if the member does not answer a minimal request. */
  async #probe(timeoutMs: number): Promise<void> {
    const client = this.#client;
    await this.revision(timeoutMs).catch((error) => {
      if (isLate(error) && client === this.#client) this.drop();
    });
  }
}

/** Resolves when the channel's state is another, or after `ms`. */
async function changed(channel: ChannelInterface, state: connectivityState, ms: number): Promise<void> {
  await new Promise((resolve) => channel.watchConnectivityState(state, Date.now() + ms, resolve));
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
  // etcd closes the connection of a client that pings more often than every 5 s.
  "grpc.keepalive_time_ms": 6_000,
  "grpc.keepalive_timeout_ms": 4_000,
  "grpc.enable_retries": 0,
  // A subchannel shared with another connection would report failures without their reason.
  "grpc.use_local_subchannel_pool": 1,
  // Both are turned off: a service configuration costs a DNS look-up, and a proxy must not get calls to etcd.
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.max_receive_message_length": MAX_MESSAGE,
  "grpc.max_send_message_length": MAX_MESSAGE,
};
