/** etcd's messages (api/etcdserverpb/rpc.proto, 3.4), as far as the store uses them. */
import type { Guard, Plan } from "./types.ts";
import { Reader, Writer } from "./wire.ts";

/** Which store answered, and at which revision. */
export interface Header {
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

/** What a range request asks for: one key, or every key from `key` up to `end`. */
export interface RangeRequest {
  readonly key: string;
  readonly end?: string;
  readonly limit?: number;
  /** As of this revision; 0: now, agreed on by a majority (linearizable). */
  readonly revision?: number;
  readonly keysOnly?: boolean;
  /** As far as the member that is asked has come, in place of what a majority agrees on. */
  readonly serializable?: boolean;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  /** What the failure branch read: the newest mod revisions of guarded keys that exist. */
  readonly found: ReadonlyMap<string, number>;
  /** The answers to nested transactions, in order. */
  readonly nested: readonly TxnResponse[];
}

export interface WatchEvent {
  readonly removed: boolean;
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly header: Header;
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Above 0: history before it is gone, and the watcher with it. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** More of the same revision follows in the next response. */
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

/** A member's own view of itself. */
export interface StatusResponse {
  readonly header: Header & { readonly memberId: bigint };
  readonly version: string;
  /** Bytes of its database file. */
  readonly dbSize: number;
  /** The member id of the leader; 0n: it knows none. */
  readonly leader: bigint;
  /** What it finds wrong: like `memberID:1 alarm:NOSPACE`. */
  readonly errors: readonly string[];
}

/** The key right behind every key that starts with `prefix`. Prefixes end in a plain ASCII character. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** What can be listed and followed: every key that begins with a name, if that ends in a slash; else the key itself. */
export function rangeUnder(name: string): { readonly key: string; readonly end?: string } {
  return name.endsWith("/") ? { key: name, end: prefixEnd(name) } : { key: name };
}

/** The bytes of an etcdserverpb.RangeRequest. */
export function encodeRange(request: RangeRequest): Uint8Array {
  const writer = new Writer();
  rangeFields(writer, request);
  return writer.finish();
}

function rangeFields(writer: Writer, request: RangeRequest): void {
  writer.text(1, request.key);
  if (request.end !== undefined) writer.text(2, request.end);
  if (request.limit) writer.number(3, request.limit);
  if (request.revision) writer.number(4, request.revision);
  if (request.serializable) writer.flag(7);
  if (request.keysOnly) writer.flag(8);
}

/** Several ranges, read at one revision: a transaction without a condition. */
export function encodeRanges(requests: readonly RangeRequest[]): Uint8Array {
  const writer = new Writer();
  for (const request of requests) {
    const op = writer.begin(2);
    const range = writer.begin(1);
    rangeFields(writer, request);
    writer.end(range);
    writer.end(op);
  }
  return writer.finish();
}

/**
 * A plan as a transaction; its failure branch reads what became of the guarded keys, and of the fence, which is
 * one more guard.
 */
export function encodeTxn(plan: Plan, fence?: Guard): Uint8Array {
  const writer = new Writer();
  txnFields(writer, plan, fence);
  return writer.finish();
}

/**
 * Plans that touch different keys, each with guards of its own, as one transaction (RequestOp.request_txn). It does not
 * succeed when the fence has moved: none of the plans is looked at then.
 */
export function encodeSharedTxn(plans: readonly Plan[], fence?: Guard): Uint8Array {
  const writer = new Writer();
  if (fence) compareModRevision(writer, fence);
  for (const plan of plans) {
    const op = writer.begin(2);
    const txn = writer.begin(4);
    txnFields(writer, plan);
    writer.end(txn);
    writer.end(op);
  }
  return writer.finish();
}

const MOD = 2, LESS = 2, DESCEND = 2, SORT_BY_MOD = 3;

function compareModRevision(writer: Writer, { key, modRevision }: Guard): void {
  const compare = writer.begin(1);
  writer.number(2, MOD);
  writer.text(3, key);
  writer.number(6, modRevision);
  writer.end(compare);
}

function readModRevision(writer: Writer, { key }: Guard): void {
  const request = writer.begin(3);
  const range = writer.begin(1);
  rangeFields(writer, { key, keysOnly: true });
  writer.end(range);
  writer.end(request);
}

function txnFields(writer: Writer, plan: Plan, fence?: Guard): void {
  if (fence) compareModRevision(writer, fence);
  for (const guard of plan.guards) compareModRevision(writer, guard);
  for (const { prefix, unchangedSince } of plan.prefixGuards ?? []) {
    const compare = writer.begin(1);
    writer.number(1, LESS);
    writer.number(2, MOD);
    writer.text(3, prefix);
    writer.number(6, unchangedSince + 1);
    writer.text(64, prefixEnd(prefix));
    writer.end(compare);
  }
  for (const op of plan.ops) {
    const request = writer.begin(2);
    const kind = writer.begin("put" in op ? 2 : 3);
    if ("put" in op) {
      writer.text(1, op.put);
      writer.text(2, op.value);
      if (op.lease !== undefined) writer.id(3, op.lease);
    } else {
      writer.text(1, op.remove);
    }
    writer.end(kind);
    writer.end(request);
  }
  if (fence) readModRevision(writer, fence);
  for (const guard of plan.guards) readModRevision(writer, guard);
  for (const { prefix, unchangedSince } of plan.prefixGuards ?? []) {
    const request = writer.begin(3);
    const range = writer.begin(1);
    rangeFields(writer, { key: prefix, end: prefixEnd(prefix), limit: 1, keysOnly: true });
    writer.number(5, DESCEND);
    writer.number(6, SORT_BY_MOD);
    writer.number(10, unchangedSince + 1);
    writer.end(range);
    writer.end(request);
  }
}

/** What the failure branch found, as guards: the guarded keys first, then what stands under guarded prefixes; not the fence. */
export function currentOf(plan: Plan, found: ReadonlyMap<string, number>, fence?: Guard): Guard[] {
  const current = plan.guards.map(({ key }) => ({ key, modRevision: found.get(key) ?? 0 }));
  const guarded = new Set(plan.guards.map(({ key }) => key));
  if (fence) guarded.add(fence.key);
  for (const [key, modRevision] of found) if (!guarded.has(key)) current.push({ key, modRevision });
  return current;
}

/** Follows {@link rangeUnder} a name from `startRevision` on; events come in order, marked with `watchId`. */
export function encodeWatchCreate(name: string, startRevision: number, watchId: number): Uint8Array {
  const { key, end } = rangeUnder(name);
  const writer = new Writer();
  const create = writer.begin(1);
  writer.text(1, key);
  if (end !== undefined) writer.text(2, end);
  writer.number(3, startRevision);
  writer.number(7, watchId);
  writer.flag(8);
  writer.end(create);
  return writer.finish();
}

/** Asks how far everything on the stream has been told: the answer belongs to no watcher, and has nothing but a header. */
export function encodeWatchProgress(): Uint8Array {
  const writer = new Writer();
  writer.end(writer.begin(3));
  return writer.finish();
}

/** Ends what {@link encodeWatchCreate} began. */
export function encodeWatchCancel(watchId: number): Uint8Array {
  const writer = new Writer();
  const cancel = writer.begin(2);
  writer.number(1, watchId);
  writer.end(cancel);
  return writer.finish();
}

/** Reads an etcdserverpb.RangeResponse. Throws RangeError for bytes that are none. */
export function decodeRange(bytes: Uint8Array): RangeResponse {
  return readRange(new Reader(bytes));
}

function readRange(reader: Reader): RangeResponse {
  let header = noHeader, more = false;
  const kvs: KeyValue[] = [];
  for (let field; (field = reader.next());) {
    if (field === 1) header = readHeader(reader);
    else if (field === 2) kvs.push(readKeyValue(reader));
    else if (field === 3) more = reader.flag();
    else reader.skip();
  }
  return { header, kvs, more };
}

/** Reads the answer to {@link encodeRanges} of `count` requests. Throws RangeError for bytes that are none. */
export function decodeRanges(bytes: Uint8Array, count: number): RangeResponse[] {
  const reader = new Reader(bytes);
  const ranges: RangeResponse[] = [];
  let header = noHeader;
  for (let field; (field = reader.next());) {
    if (field === 1) header = readHeader(reader);
    else if (field === 3) {
      const op = reader.enter();
      for (let kind; (kind = reader.next());) {
        if (kind !== 1) {
          reader.skip();
          continue;
        }
        const range = reader.enter();
        ranges.push(readRange(reader));
        reader.leave(range);
      }
      reader.leave(op);
    } else reader.skip();
  }
  if (ranges.length !== count) throw new RangeError(`${ranges.length} of ${count} ranges were answered`);
  // Only the transaction as a whole says who answers.
  return ranges.map((range) => ({ ...range, header }));
}

/** Reads an etcdserverpb.TxnResponse and those nested in it. Throws RangeError for bytes that are none. */
export function decodeTxn(bytes: Uint8Array): TxnResponse {
  return readTxn(new Reader(bytes));
}

const nothing: ReadonlyMap<string, number> = new Map();

function readTxn(reader: Reader): TxnResponse {
  let header = noHeader, succeeded = false;
  let found: Map<string, number> | undefined;
  const nested: TxnResponse[] = [];
  for (let field; (field = reader.next());) {
    if (field === 1) header = readHeader(reader);
    else if (field === 2) succeeded = reader.flag();
    else if (field === 3) {
      const op = reader.enter();
      for (let kind; (kind = reader.next());) {
        if (kind !== 1 && kind !== 4) {
          reader.skip();
          continue;
        }
        const inner = reader.enter();
        if (kind === 4) nested.push(readTxn(reader));
        else for (const kv of readRange(reader).kvs) (found ??= new Map()).set(kv.key, kv.modRevision);
        reader.leave(inner);
      }
      reader.leave(op);
    } else reader.skip();
  }
  return { header, succeeded, found: found ?? nothing, nested };
}

/** Reads an etcdserverpb.WatchResponse. Throws RangeError for bytes that are none. */
export function decodeWatch(bytes: Uint8Array): WatchResponse {
  const reader = new Reader(bytes);
  let header = noHeader, watchId = 0, created = false, canceled = false;
  let compactRevision = 0, cancelReason = "", fragment = false;
  const events: WatchEvent[] = [];
  for (let field; (field = reader.next());) {
    if (field === 1) header = readHeader(reader);
    else if (field === 2) watchId = reader.number();
    else if (field === 3) created = reader.flag();
    else if (field === 4) canceled = reader.flag();
    else if (field === 5) compactRevision = reader.number();
    else if (field === 6) cancelReason = reader.text();
    else if (field === 7) fragment = reader.flag();
    else if (field === 11) events.push(readEvent(reader));
    else reader.skip();
  }
  return { header, watchId, created, canceled, compactRevision, cancelReason, fragment, events };
}

/** Reads an etcdserverpb.StatusResponse. Throws RangeError for bytes that are none. */
export function decodeStatus(bytes: Uint8Array): StatusResponse {
  const reader = new Reader(bytes);
  const errors: string[] = [];
  let header = { ...noHeader, memberId: 0n }, version = "", dbSize = 0, leader = 0n;
  for (let field; (field = reader.next());) {
    if (field === 1) header = readHeader(reader);
    else if (field === 2) version = reader.text();
    else if (field === 3) dbSize = reader.number();
    else if (field === 4) leader = reader.id();
    else if (field === 8) errors.push(reader.text().trim());
    else reader.skip();
  }
  return { header, version, dbSize, leader, errors };
}

function readEvent(reader: Reader): WatchEvent {
  const outer = reader.enter();
  let removed = false, kv: KeyValue | undefined;
  for (let field; (field = reader.next());) {
    if (field === 1) removed = reader.number() === 1;
    else if (field === 2) kv = readKeyValue(reader);
    else reader.skip();
  }
  reader.leave(outer);
  if (!kv) throw new RangeError("a watch event names no key");
  return { removed, kv };
}

const noHeader: Header = { clusterId: 0n, revision: 0 };

function readHeader(reader: Reader): Header & { readonly memberId: bigint } {
  const outer = reader.enter();
  let clusterId = 0n, memberId = 0n, revision = 0;
  for (let field; (field = reader.next());) {
    if (field === 1) clusterId = reader.id();
    else if (field === 2) memberId = reader.id();
    else if (field === 3) revision = reader.number();
    else reader.skip();
  }
  reader.leave(outer);
  return { clusterId, memberId, revision };
}

const noValue: Uint8Array = new Uint8Array();

function readKeyValue(reader: Reader): KeyValue {
  const outer = reader.enter();
  let key = "", value = noValue, createRevision = 0, modRevision = 0;
  for (let field; (field = reader.next());) {
    if (field === 1) key = reader.text();
    else if (field === 2) createRevision = reader.number();
    else if (field === 3) modRevision = reader.number();
    else if (field === 5) value = reader.bytes();
    else reader.skip();
  }
  reader.leave(outer);
  return { key, value, createRevision, modRevision };
}
