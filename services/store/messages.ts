/**
 * Converts the store's requests and answers to and from etcd's messages, whose codec is generated from
 * proto/etcd.proto. Revisions, which are mostly bigints there, are numbers here: exact up to 2^53, which a write
 * every microsecond reaches after 285 years.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  Compare_CompareResult as CompareResult,
  Compare_CompareTarget as CompareTarget,
  Event_EventType as EventType,
  RangeRequest_SortOrder as SortOrder,
  RangeRequest_SortTarget as SortTarget,
} from "../../proto/gen/etcd.ts";
import * as etcd from "../../proto/gen/etcd.ts";
import type { Guard, Plan } from "./types.ts";

/** The cluster that answered, and its revision. */
export interface ResponseHeader {
  readonly clusterId: bigint;
  readonly revision: number;
}

/** A key as etcd holds it. `value` views the message it came in. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
}

/** A range request: one key, or every key from `key` up to `end`. */
export interface RangeRequest {
  readonly key: string;
  readonly end?: string;
  readonly limit?: number;
  /** The revision to read at; 0: the newest one that a majority agrees on (linearizable). */
  readonly revision?: number;
  readonly keysOnly?: boolean;
  /** Only keys that were written after this revision; absent: all of them. Either way etcd reads the whole range. */
  readonly writtenAfter?: number;
  /** True: the newest revision of the member that is asked, without a majority's agreement (serializable). */
  readonly serializable?: boolean;
}

export interface RangeResponse {
  readonly header: ResponseHeader;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  /** How many keys are in the range, whatever the request leaves out. */
  readonly count: number;
}

export interface TxnResponse {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  /** The result of the failure branch: the mod revisions of guarded keys that exist. */
  readonly found: ReadonlyMap<string, number>;
  /** The answers to nested transactions, in order. */
  readonly nested: readonly TxnResponse[];
}

export interface WatchEvent {
  readonly removed: boolean;
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly header: ResponseHeader;
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Above 0: history before this revision was compacted away, and the watcher is cancelled. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** True: more events of the same revision follow in the next response. */
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

/** The answer of Maintenance.Status: how a member describes itself. */
export interface StatusResponse {
  readonly header: ResponseHeader & { readonly memberId: bigint };
  readonly version: string;
  /** Bytes of its database file. */
  readonly dbSize: number;
  /** The member id of the leader; 0n: the member knows none. */
  readonly leader: bigint;
  /** Errors that it reports, like `memberID:1 alarm:NOSPACE`. */
  readonly errors: readonly string[];
}

/** The key right behind every key that starts with `prefix`. Prefixes end in a plain ASCII character. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** The range that stands for a name: every key that begins with it, if it ends in a slash or is empty; else the key itself. */
export function rangeUnder(name: string): { readonly key: string; readonly end?: string } {
  if (name === "") return { key: "\0", end: "\0" };
  return name.endsWith("/") ? { key: name, end: prefixEnd(name) } : { key: name };
}

let writer = new BinaryWriter();
/** The largest buffer, in bytes, that the writer keeps for the next message. */
const KEPT_BYTES = 262_144;

/**
 * Encodes a message. All messages share one writer, which keeps its buffer: growing a new one takes longer than
 * encoding.
 */
function encode<T>(codec: etcd.MessageFns<T>, message: T): Uint8Array {
  const own = writer;
  // After an error the old writer contains half a message.
  writer = new BinaryWriter();
  const bytes = codec.encode(message, own).finish();
  if (bytes.length <= KEPT_BYTES) writer = own;
  return bytes;
}

/** Encodes an etcdserverpb.RangeRequest. */
export function encodeRange(request: RangeRequest): Uint8Array {
  return encode(etcd.RangeRequest, rangeOf(request));
}

function rangeOf(request: RangeRequest): etcd.RangeRequest {
  const { key, end = "", limit, revision, keysOnly = false, writtenAfter, serializable = false } = request;
  return {
    key,
    rangeEnd: end,
    limit: limit ? BigInt(limit) : 0n,
    revision: revision ? BigInt(revision) : 0n,
    sortOrder: SortOrder.NONE,
    sortTarget: SortTarget.KEY,
    serializable,
    keysOnly,
    minModRevision: writtenAfter === undefined ? 0n : BigInt(writtenAfter + 1),
  };
}

/** Encodes several ranges that are read at one revision: a transaction without a condition. */
export function encodeRanges(requests: readonly RangeRequest[]): Uint8Array {
  const success = requests.map((request) => ({ requestRange: rangeOf(request) }));
  return encode(etcd.TxnRequest, { compare: [], success, failure: [] });
}

/**
 * Encodes a plan as a transaction. Its failure branch reads the mod revisions of the guarded keys and of the fence,
 * which is one more guard.
 */
export function encodeTxn(plan: Plan, fence?: Guard): Uint8Array {
  return encode(etcd.TxnRequest, txnOf(plan, fence));
}

/**
 * Encodes plans with different keys, each with guards of its own, as one transaction (RequestOp.request_txn). If the
 * fence has moved, it fails as a whole and none of the plans is evaluated.
 */
export function encodeSharedTxn(plans: readonly Plan[], fence?: Guard): Uint8Array {
  const compare = fence ? [unchanged(fence)] : [];
  const success = plans.map((plan) => ({ requestTxn: txnOf(plan) }));
  return encode(etcd.TxnRequest, { compare, success, failure: [] });
}

/** The compare that holds while the key has this mod revision. */
function unchanged({ key, modRevision }: Guard): etcd.Compare {
  return {
    result: CompareResult.EQUAL,
    target: CompareTarget.MOD,
    key,
    modRevision: BigInt(modRevision),
    rangeEnd: "",
  };
}

function modRevisionOf({ key }: Guard): etcd.RequestOp {
  return { requestRange: rangeOf({ key, keysOnly: true }) };
}

function txnOf({ guards, prefixGuards = [], ops }: Plan, fence?: Guard): etcd.TxnRequest {
  const compare: etcd.Compare[] = [], success: etcd.RequestOp[] = [], failure: etcd.RequestOp[] = [];
  if (fence) {
    compare.push(unchanged(fence));
    failure.push(modRevisionOf(fence));
  }
  for (const guard of guards) {
    compare.push(unchanged(guard));
    failure.push(modRevisionOf(guard));
  }
  for (const { prefix, unchangedSince } of prefixGuards) {
    const after = BigInt(unchangedSince + 1), rangeEnd = prefixEnd(prefix);
    compare.push({
      result: CompareResult.LESS,
      target: CompareTarget.MOD,
      key: prefix,
      modRevision: after,
      rangeEnd,
    });
    const newest = rangeOf({
      key: prefix,
      end: rangeEnd,
      limit: 1,
      keysOnly: true,
      writtenAfter: unchangedSince,
    });
    newest.sortOrder = SortOrder.DESCEND;
    newest.sortTarget = SortTarget.MOD;
    failure.push({ requestRange: newest });
  }
  for (const op of ops) {
    success.push(
      "put" in op
        ? { requestPut: { key: op.put, value: op.value, lease: op.lease ?? 0n } }
        : { requestDeleteRange: { key: op.remove } },
    );
  }
  return { compare, success, failure };
}

/**
 * The failure branch's result as guards: the guarded keys first, then keys under guarded prefixes; without the fence.
 */
export function currentOf(plan: Plan, found: ReadonlyMap<string, number>, fence?: Guard): Guard[] {
  const current = plan.guards.map(({ key }) => ({ key, modRevision: found.get(key) ?? 0 }));
  const guarded = new Set(plan.guards.map(({ key }) => key));
  if (fence) guarded.add(fence.key);
  for (const [key, modRevision] of found) if (!guarded.has(key)) current.push({ key, modRevision });
  return current;
}

/**
 * Encodes the creation of a watcher on {@link rangeUnder} a name, from `startRevision` on. Events arrive in order,
 * with `watchId`.
 */
export function encodeWatchCreate(name: string, startRevision: number, watchId: number): Uint8Array {
  const { key, end = "" } = rangeUnder(name);
  const createRequest = {
    key,
    rangeEnd: end,
    startRevision: BigInt(startRevision),
    watchId: BigInt(watchId),
    fragment: true,
  };
  return encode(etcd.WatchRequest, { createRequest });
}

/** Encodes the end of the watcher that {@link encodeWatchCreate} began. */
export function encodeWatchCancel(watchId: number): Uint8Array {
  return encode(etcd.WatchRequest, { cancelRequest: { watchId: BigInt(watchId) } });
}

/** Reads an etcdserverpb.RangeResponse. Throws Error for malformed bytes. */
export function decodeRange(bytes: Uint8Array): RangeResponse {
  return rangeFrom(etcd.RangeResponse.decode(bytes));
}

function rangeFrom({ header, kvs, more, count }: etcd.RangeResponse): RangeResponse {
  return { header: headerFrom(header), kvs: kvs.map(keyValueFrom), more, count };
}

/** Reads the answer to {@link encodeRanges} of `count` requests. Throws Error for malformed bytes. */
export function decodeRanges(bytes: Uint8Array, count: number): RangeResponse[] {
  const { header, responses } = etcd.TxnResponse.decode(bytes);
  const ranges = responses.flatMap(({ responseRange }) => responseRange ?? []);
  if (ranges.length !== count) throw new RangeError(`${ranges.length} of ${count} ranges were answered`);
  // Only the header of the whole transaction names the cluster.
  return ranges.map((range) => rangeFrom({ ...range, header }));
}

/** Reads an etcdserverpb.TxnResponse and those nested in it. Throws Error for malformed bytes. */
export function decodeTxn(bytes: Uint8Array): TxnResponse {
  return txnFrom(etcd.TxnResponse.decode(bytes));
}

const nothing: ReadonlyMap<string, number> = new Map();

function txnFrom({ header, succeeded, responses }: etcd.TxnResponse): TxnResponse {
  let found: Map<string, number> | undefined;
  const nested: TxnResponse[] = [];
  for (const { responseTxn, responseRange } of responses) {
    if (responseTxn) nested.push(txnFrom(responseTxn));
    if (!responseRange) continue;
    for (const { key, modRevision } of responseRange.kvs) (found ??= new Map()).set(key, modRevision);
  }
  return { header: headerFrom(header), succeeded, found: found ?? nothing, nested };
}

/** Reads an etcdserverpb.WatchResponse. Throws Error for malformed bytes. */
export function decodeWatch(bytes: Uint8Array): WatchResponse {
  const { header, watchId, created, canceled, compactRevision, cancelReason, fragment, events } = etcd
    .WatchResponse.decode(bytes);
  return {
    header: headerFrom(header),
    watchId: Number(watchId),
    created,
    canceled,
    compactRevision: Number(compactRevision),
    cancelReason,
    fragment,
    events: events.map(eventFrom),
  };
}

/** Reads an etcdserverpb.StatusResponse. Throws Error for malformed bytes. */
export function decodeStatus(bytes: Uint8Array): StatusResponse {
  const { header, version, dbSize, leader, errors } = etcd.StatusResponse.decode(bytes);
  return {
    header: headerFrom(header),
    version,
    dbSize: Number(dbSize),
    leader,
    errors: errors.map((error) => error.trim()),
  };
}

function eventFrom({ type, kv }: etcd.Event): WatchEvent {
  if (!kv) throw new RangeError("a watch event names no key");
  return { removed: type === EventType.DELETE, kv: keyValueFrom(kv) };
}

const noHeader = { clusterId: 0n, memberId: 0n, revision: 0 };

/** Converts a header; of an answer without one all is 0. */
export function headerFrom(
  header: etcd.ResponseHeader | null,
): ResponseHeader & { readonly memberId: bigint } {
  if (!header) return noHeader;
  const { clusterId, memberId, revision } = header;
  return { clusterId, memberId, revision: Number(revision) };
}

const noValue: Uint8Array = new Uint8Array();

/** Returns the message itself, unconverted, since a listing has many. */
export function keyValueFrom(kv: etcd.KeyValue): KeyValue {
  kv.value ??= noValue;
  return kv as KeyValue;
}
