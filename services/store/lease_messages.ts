/** etcd's messages about leases (api/etcdserverpb/rpc.proto, 3.4). */
import { Reader, Writer } from "./wire.ts";

/** A new lease, and how long etcd lets it live without being kept: at least what was asked for. */
export interface Granted {
  readonly id: bigint;
  readonly ttlSeconds: number;
}

/** The bytes of an etcdserverpb.LeaseGrantRequest; etcd chooses the id where none is given. */
export function encodeGrant(ttlSeconds: number, id?: bigint): Uint8Array {
  const writer = new Writer();
  writer.number(1, ttlSeconds);
  if (id !== undefined) writer.id(2, id);
  return writer.finish();
}

/** Reads an etcdserverpb.LeaseGrantResponse. Throws RangeError for bytes that are none. */
export function decodeGrant(bytes: Uint8Array): Granted {
  const reader = new Reader(bytes);
  let id = 0n, ttlSeconds = 0;
  for (let field; (field = reader.next());) {
    if (field === 2) id = reader.id();
    else if (field === 3) ttlSeconds = reader.number();
    else reader.skip();
  }
  if (id === 0n || ttlSeconds <= 0) throw new RangeError("etcd granted no lease");
  return { id, ttlSeconds };
}

/** The bytes of an etcdserverpb.LeaseKeepAliveRequest or LeaseRevokeRequest: both hold the id alone. */
export function encodeLeaseId(id: bigint): Uint8Array {
  const writer = new Writer();
  writer.id(1, id);
  return writer.finish();
}

/** Reads the seconds of an etcdserverpb.LeaseKeepAliveResponse; 0: the lease has ended. Throws RangeError. */
export function decodeKeepAlive(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  let ttlSeconds = 0;
  for (let field; (field = reader.next());) {
    if (field === 3) ttlSeconds = reader.number();
    else reader.skip();
  }
  return ttlSeconds;
}
