/**
 * A lease in etcd that this process keeps alive: keys that were put with its id vanish when the process does, or when
 * etcd has not heard of it for the lease's time to live.
 */
import { messageOf } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import { repeat } from "../common/async.ts";

/** The methods of a connection that {@link KeptLease} uses. */
export type LeaseConnection = Pick<EtcdConnection, "grantLease" | "keepLease" | "revokeLease">;

export interface LeaseOptions {
  /** How long the lease lives without being kept. */
  readonly ttlSeconds: number;
  /**
   * Called with each new lease: the first one, and one in place of each that ended. Every key that was put with the lease before
   * is gone, or about to be, and has to be put again. When it rejects it is called again with the same lease.
   */
  readonly onGranted: (id: bigint) => Promise<void> | void;
  /** Called once each time that the lease cannot be kept or used, with the reason, and once when it can be again (undefined). */
  readonly onTrouble?: (reason: string | undefined) => void;
}

/**
 * The lease is renewed so many times in its TTL, so that one or two lost calls do not end it. With a TTL of 10 s the answers also
 * show, every 2 s, that the member is there: it is probed only where it says nothing for longer.
 */
const KEEPS = 5;
/** After a failure it is tried again after so many ms. */
const AGAIN = 500;

/** Keeps one lease from now on; it tries for as long as etcd cannot be reached. */
export class KeptLease {
  #id: bigint | undefined;
  #usableUntil = 0;
  #ttlMs: number;
  /** `onGranted` has taken note of it. */
  #taken = false;
  #trouble: string | undefined;
  readonly #closing = new AbortController();
  readonly #end: () => Promise<void>;

  constructor(private readonly connection: LeaseConnection, private readonly options: LeaseOptions) {
    this.#ttlMs = options.ttlSeconds * 1000;
    let pause = 0;
    this.#end = repeat(() => pause, async () => {
      pause = this.#ttlMs / KEEPS;
      try {
        await this.#keep();
        this.#tell(undefined);
      } catch (error) {
        this.#tell(messageOf(error));
        pause = Math.min(pause, AGAIN);
      }
    });
  }

  /** The lease to put keys with; undefined before the first is granted, and after one has ended. */
  get id(): bigint | undefined {
    return this.#id;
  }

  /**
   * Until when etcd is known to keep it, on the monotonic clock (`performance.now()`), counted from before the request;
   * 0 while there is none. Past that it may have ended, or live on because etcd was away.
   */
  get liveUntil(): number {
    return this.#id === undefined ? 0 : this.#usableUntil;
  }

  /** True while etcd is known to keep it. */
  get live(): boolean {
    return performance.now() < this.liveUntil;
  }

  /** Stops keeping it, and ends it if etcd can be reached: what it holds vanishes at once, else after its time to live. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#end();
    const id = this.#id;
    this.#id = undefined;
    if (id !== undefined) await this.connection.revokeLease(id).catch(() => {}); // The lease expires by itself.
  }

  async #keep(): Promise<void> {
    const { connection, options } = this;
    const sent = performance.now();
    if (this.#id !== undefined) {
      const ttlSeconds = await connection.keepLease(this.#id);
      if (ttlSeconds > 0) this.#usableUntil = sent + ttlSeconds * 1000;
      else this.#id = undefined;
    }
    if (this.#id === undefined) {
      const requested = performance.now();
      const { id, ttlSeconds } = await connection.grantLease(options.ttlSeconds);
      this.#id = id;
      this.#ttlMs = ttlSeconds * 1000;
      this.#usableUntil = requested + this.#ttlMs;
      this.#taken = false;
    }
    if (this.#taken || this.#closing.signal.aborted) return;
    await options.onGranted(this.#id);
    this.#taken = true;
  }

  #tell(reason: string | undefined): void {
    if ((this.#trouble === undefined) !== (reason === undefined)) this.options.onTrouble?.(reason);
    this.#trouble = reason;
  }
}
