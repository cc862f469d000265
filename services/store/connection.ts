/** The connection to the etcd cluster: range requests, transactions, leases and watch streams. */
import { Refusal } from "../common/refusal.ts";
import type { TlsMaterial } from "../common/tls.ts";
import { UnknownOutcome } from "./errors.ts";
import {
  callReason,
  isLate,
  isLeaderless,
  isLeaseGone,
  isLeaseThere,
  isOperational,
  verdictOf,
} from "./failure.ts";
import { EtcdMember } from "./member.ts";
import type { RawStream } from "./raw_stream.ts";
import { type MemberStatus, memberStatus } from "./member_status.ts";
import { Patience } from "./patience.ts";
import { deadline, delay } from "../common/async.ts";
import {
  decodeRange,
  decodeRanges,
  encodeRange,
  encodeRanges,
  type KeyValue,
  type RangeRequest,
  type RangeResponse,
  rangeUnder,
  type ResponseHeader,
} from "./messages.ts";
import { decodeGrant, decodeKeepAlive, encodeGrant, encodeLeaseId, type Granted } from "./lease_messages.ts";
import { type ListedPage, pageOf, RangePage } from "./range_page.ts";
import { PAGE_SIZE, SHARED_PAGE_SIZE, sizeAfter } from "./page_size.ts";
import { MAX_TXN_OPS } from "./types.ts";
import { unavailable } from "./unavailable.ts";

export type { MemberStatus };

export interface EtcdConnectionOptions {
  /** The members, like `http://10.0.0.1:2379`; all http or all https. */
  readonly endpoints: readonly string[];
  /** Needed for https: `ca`, and `cert` with `key` where etcd asks for a client certificate. */
  readonly tls?: TlsMaterial | undefined;
  /** How long one request may take, in ms (default 5,000). */
  readonly timeoutMs?: number;
  /** How long a write may take while etcd answers fast, in ms (default 2,000); one that takes longer may or may not be made. */
  readonly writeMs?: number;
}

export interface ListOptions {
  /** As of this revision; absent: the newest. All pages show the same one. */
  readonly revision?: number;
  /** Leaves the values out. */
  readonly keysOnly?: boolean;
}

/** A part of a listing, and the revision of the whole listing. */
export interface Page {
  /** The index of the listed name to which the keys belong. */
  readonly index: number;
  readonly header: ResponseHeader;
  readonly kvs: Iterable<KeyValue>;
}

/** The member in use has this long to connect before the others are tried too, in ms. */
const HEAD_START_MS = 500;
const RETRY_MS = 100;
/** How long one member may take for a small read before the next is asked, in ms; a page of a listing may take longer. */
const READ_MS = 2_000;
/** How long one member may take to say how it is, in ms. */
const STATUS_MS = 2_000;
/** How long a write may take by default while etcd answers fast, and how much longer for each KiB of the request, in ms. */
const WRITE_MS = 2_000, WRITE_MS_PER_KIB = 4;
/** How long a request waits for an election, in ms: etcd's takes 1 to 2 s with its default settings. */
const ELECTION_MS = 2_500;
const RANGE = "/etcdserverpb.KV/Range", TXN = "/etcdserverpb.KV/Txn";
const WATCH = "/etcdserverpb.Watch/Watch";
const GRANT = "/etcdserverpb.Lease/LeaseGrant", REVOKE = "/etcdserverpb.Lease/LeaseRevoke";
const KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive";

/**
 * The process's connection to the etcd cluster: it uses one member as long as that answers, else the next one.
 * Reads are retried on another member until their time is over; a transaction is sent once.
 */
export class EtcdConnection {
  readonly endpoints: readonly string[];
  readonly #members: readonly EtcdMember[];
  readonly #timeoutMs: number;
  readonly #tls: TlsMaterial | undefined;
  #current: EtcdMember;
  /** The time limit of transactions and leases, which etcd writes to disk: a slow disk must not look like a dead member. */
  readonly #patience: Patience;
  /** The time limit of requests that read many keys. */
  readonly #scanPatience: Patience;
  #closed = false;

  /** Opens nothing yet. Throws Refusal for endpoints or certificates that cannot be right. */
  constructor(options: EtcdConnectionOptions) {
    this.endpoints = options.endpoints.map(checkedEndpoint);
    const secure = this.endpoints.filter((endpoint) => endpoint.startsWith("https:")).length;
    if (secure && secure < this.endpoints.length) {
      throw new Refusal(
        "invalid",
        `etcd.endpoints: ${this.#names} mix http and https, one of them has to go`,
      );
    }
    if (secure && !options.tls) {
      throw new Refusal("invalid", `etcd.cacert: missing, needed for ${this.#names}`);
    }
    if (options.tls && !options.tls.cert !== !options.tls.key) {
      throw new Refusal("invalid", "etcd.cert and etcd.key: one is missing, a client certificate needs both");
    }
    this.#tls = secure ? options.tls : undefined;
    this.#members = this.endpoints.map((endpoint) => new EtcdMember(endpoint, this.#tls));
    const [first] = this.#members;
    if (!first) throw new Refusal("invalid", "etcd.endpoints: empty, at least one is needed");
    this.#current = first;
    this.#timeoutMs = options.timeoutMs ?? 5_000;
    this.#patience = new Patience(options.writeMs ?? WRITE_MS, this.#timeoutMs);
    this.#scanPatience = new Patience(READ_MS, this.#timeoutMs);
  }

  /** The key as it is now, agreed on by a majority; undefined when absent. Throws Refusal "unavailable". */
  async get(key: string): Promise<KeyValue | undefined> {
    return (await this.range({ key })).kvs[0];
  }

  /** The mod revision that the key has now; 0: absent. Throws Refusal "unavailable". */
  async modRevision(key: string): Promise<number> {
    return (await this.range({ key, keysOnly: true })).kvs[0]?.modRevision ?? 0;
  }

  /** Cluster id and newest revision, agreed on by a majority. Throws Refusal "unavailable". */
  async head(): Promise<ResponseHeader> {
    return (await this.range({ key: "\0", keysOnly: true })).header;
  }

  /**
   * Everything under each name, see {@link rangeUnder}: name by name, in key order, page by page, all as of one
   * revision; at least one page of each. Throws Refusal "unavailable", also when that revision is compacted away in between.
   */
  async *list(names: readonly string[], options: ListOptions = {}): AsyncGenerator<Page> {
    let { revision = 0 } = options;
    const { keysOnly = false } = options;
    for (let from = 0; from < names.length; from += MAX_TXN_OPS) {
      const some = names.slice(from, from + MAX_TXN_OPS);
      const limit = some.length > 1 ? SHARED_PAGE_SIZE : PAGE_SIZE;
      const requests = some.map((name) => ({ ...rangeUnder(name), limit, revision, keysOnly }));
      const decode = (answer: Uint8Array) => decodeRanges(answer, requests.length).map(pageOf);
      const ranges = await this.#read(TXN, encodeRanges(requests), decode, this.#timeoutMs);
      for (const [i, request] of requests.entries()) {
        let page: ListedPage | undefined = ranges[i];
        for (; page; page = await this.#pageAfter(page, { ...request, revision })) {
          revision ||= page.header.revision;
          const header = { clusterId: page.header.clusterId, revision };
          yield { index: from + i, header, kvs: page.kvs };
        }
      }
    }
  }

  /**
   * Reads which keys etcd has under each name, see {@link rangeUnder}: how many, and those that were written after a
   * revision of its own, without their values; all as of one revision. etcd reads all the keys for that, some 3 µs for
   * each. Throws Refusal "unavailable".
   */
  async written(
    names: readonly { readonly name: string; readonly after: number }[],
  ): Promise<{ readonly header: ResponseHeader; readonly ranges: readonly RangeResponse[] }> {
    const ranges: RangeResponse[] = [];
    let header: ResponseHeader | undefined;
    for (let from = 0; from < names.length; from += MAX_TXN_OPS) {
      const revision = header?.revision ?? 0;
      const requests = names.slice(from, from + MAX_TXN_OPS).map(({ name, after }) => ({
        ...{ ...rangeUnder(name), revision, keysOnly: true, writtenAfter: after },
      }));
      const decode = (answer: Uint8Array) => decodeRanges(answer, requests.length);
      const some = await this.#read(TXN, encodeRanges(requests), decode, this.#scanPatience);
      header ??= some[0]?.header;
      ranges.push(...some);
    }
    if (!header) throw new Error("a reading of nothing");
    return { header, ranges };
  }

  async #pageAfter(page: ListedPage, request: RangeRequest): Promise<ListedPage | undefined> {
    if (!page.more || !page.last) return undefined;
    const limit = sizeAfter(page.length, page.bytes);
    const next = encodeRange({ ...request, key: page.last.key + "\0", limit });
    return await this.#read(RANGE, next, (answer) => new RangePage(answer), this.#timeoutMs);
  }

  /** One range request. Throws Refusal "unavailable". */
  async range(request: RangeRequest): Promise<RangeResponse> {
    return await this.#read(RANGE, encodeRange(request), decodeRange);
  }

  /**
   * Sends a request that may be sent more than once, and retries it with other members. One member may take `time`: so many
   * ms, or the current limit for writes. If there is only one member, it may take the whole time of the request.
   * @param kept As in {@link EtcdMember.call}.
   */
  async #read<T>(
    path: string,
    bytes: Uint8Array,
    decode: (answer: Uint8Array) => T,
    time: number | Patience = READ_MS,
    kept = false,
  ): Promise<T> {
    const deadline = Date.now() + this.#timeoutMs;
    const patience = typeof time === "number" ? undefined : time;
    for (;;) {
      const { member, reachable } = await this.#pick();
      const left = Math.max(1, deadline - Date.now()), most = typeof time === "number" ? time : time.ms;
      const sent = performance.now();
      try {
        const timeoutMs = this.#members.length > 1 ? Math.min(most, left) : left;
        const answer = await member.call(path, bytes, timeoutMs, kept);
        patience?.took(performance.now() - sent);
        return decode(answer);
      } catch (error) {
        this.failed(member);
        if (isLate(error)) patience?.late();
        const verdict = verdictOf(error);
        if (verdict === "refused" || Date.now() + RETRY_MS > deadline || this.#closed) {
          throw this.#unavailable(error, member);
        }
        // If no member is connected, waiting does not help: the caller gets the error now.
        if (verdict === "not-sent" && !reachable) throw this.#unavailable(error, member);
        await delay(RETRY_MS);
      }
    }
  }

  /**
   * Sends an encoded transaction. Throws Refusal "unavailable" when nothing was written, {@link UnknownOutcome}
   * when that cannot be known, and Error for a transaction that etcd finds malformed.
   */
  async txn(bytes: Uint8Array): Promise<Uint8Array> {
    const deadline = Date.now() + Math.min(ELECTION_MS, this.#timeoutMs);
    for (let tries = this.#members.length;;) {
      const { member, reachable } = await this.#pick();
      try {
        const extra = bytes.length / 1024 * WRITE_MS_PER_KIB, sent = performance.now();
        const answer = await member.call(TXN, bytes, Math.min(this.#patience.ms + extra, this.#timeoutMs));
        this.#patience.took(performance.now() - sent - extra);
        return answer;
      } catch (error) {
        if (isLate(error)) this.#patience.late();
        const verdict = verdictOf(error);
        if (verdict === "refused" && !isOperational(error)) throw error;
        if (verdict !== "refused") this.failed(member);
        if (verdict === "unknown") {
          const message = `etcd at ${member.endpoint} did not say whether it wrote: ${callReason(error)}`;
          throw new UnknownOutcome(message, { cause: error });
        }
        if (isLeaderless(error) && Date.now() < deadline) await delay(RETRY_MS);
        else if (verdict === "refused" || !reachable || --tries <= 0) throw this.#unavailable(error, member);
      }
    }
  }

  /**
   * Asks for a new lease, and again if the answer was lost: no key uses the first lease yet, and it expires by itself.
   * With an `id` that this process has chosen there is one lease at most, and an existing one counts as granted.
   * Throws Refusal "unavailable".
   */
  async grantLease(ttlSeconds: number, id?: bigint): Promise<Granted> {
    try {
      return await this.#read(GRANT, encodeGrant(ttlSeconds, id), decodeGrant, this.#patience);
    } catch (error) {
      if (id === undefined || !(error instanceof Refusal) || !isLeaseThere(error.cause)) throw error;
      return { id, ttlSeconds };
    }
  }

  /** Renews a lease; returns the seconds until it expires, 0 when it has expired. Throws Refusal "unavailable". */
  async keepLease(id: bigint): Promise<number> {
    const decode = (answer: Uint8Array) => decodeKeepAlive(answer, id);
    return await this.#read(KEEP_ALIVE, encodeLeaseId(id), decode, READ_MS, true);
  }

  /** Ends a lease, and removes the keys that it holds; true unless it had ended. Throws Refusal "unavailable". */
  async revokeLease(id: bigint): Promise<boolean> {
    try {
      return await this.#read(REVOKE, encodeLeaseId(id), () => true, this.#patience);
    } catch (error) {
      if (error instanceof Refusal && isLeaseGone(error.cause)) return false;
      throw error;
    }
  }

  /** Opens a raw Watch stream. When it fails, the caller has to call {@link EtcdConnection.failed}. */
  async watch(): Promise<{ member: EtcdMember; stream: RawStream }> {
    const { member } = await this.#pick();
    return { member, stream: member.stream(WATCH) };
  }

  /** Asks every member, each on its own. */
  async status(): Promise<MemberStatus[]> {
    const timeoutMs = Math.min(STATUS_MS, this.#timeoutMs);
    return await Promise.all(this.#members.map((member) => memberStatus(member, timeoutMs)));
  }

  /** Notes that a request to this member failed: the next member is used from now on. */
  failed(member: EtcdMember): void {
    // Else the streams of a member that is used no longer would have it probed for ever.
    member.closeKept();
    if (member !== this.#current) return;
    const next = (this.#members.indexOf(member) + 1) % this.#members.length;
    this.#current = this.#members[next] ?? member;
  }

  close(): void {
    this.#closed = true;
    for (const member of this.#members) member.close();
  }

  /** The current member, or if it is not connected, the first one that connects. `reachable` is false when none does. */
  async #pick(): Promise<{ member: EtcdMember; reachable: boolean }> {
    if (this.#closed) throw new Refusal("unavailable", `the connection to etcd at ${this.#names} is closed`);
    const current = this.#current;
    if (current.connected) return { member: current, reachable: true };
    const connecting = current.connect();
    if (await deadline(connecting, HEAD_START_MS)) return { member: current, reachable: true };
    const attempts = this.#members.map(async (member) => {
      if (!(await (member === current ? connecting : member.connect()))) throw new Error(member.endpoint);
      return member;
    });
    const first = await Promise.any(attempts).catch(() => undefined);
    if (first) this.#current = first;
    return { member: first ?? current, reachable: first !== undefined };
  }

  #unavailable(error: unknown, { endpoint }: EtcdMember): Refusal {
    return unavailable(error, { endpoint, endpoints: this.endpoints, tls: this.#tls });
  }

  get #names(): string {
    return this.endpoints.join(", ");
  }
}

function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || !url.host || url.pathname !== "/") {
    throw new Refusal("invalid", `etcd.endpoints: "${text}" is not an endpoint, like https://10.0.0.1:2379`);
  }
  // URL drops a port that is its scheme's default, so it is read from the text.
  return `${url.protocol}//${url.hostname}:${/:(\d+)\/?$/.exec(text)?.[1] ?? "2379"}`;
}
