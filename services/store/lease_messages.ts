/** What the store asks and is told of leases, and etcd's messages for it, see messages.ts. */
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
} from "../../proto/gen/etcd.ts";

/** A new lease, and how long etcd lets it live without being kept: at least what was asked for. */
export interface Granted {
  readonly id: bigint;
  readonly ttlSeconds: number;
}

/** The bytes of an etcdserverpb.LeaseGrantRequest; etcd chooses the id where none is given. */
export function encodeGrant(ttlSeconds: number, id = 0n): Uint8Array {
  return LeaseGrantRequest.encode({ TTL: BigInt(ttlSeconds), ID: id }).finish();
}

/** Reads an etcdserverpb.LeaseGrantResponse. Throws Error for bytes that are none. */
export function decodeGrant(bytes: Uint8Array): Granted {
  const { ID: id, TTL: ttl } = LeaseGrantResponse.decode(bytes);
  if (id === 0n || ttl <= 0n) throw new RangeError("etcd granted no lease");
  return { id, ttlSeconds: Number(ttl) };
}

/** The bytes of an etcdserverpb.LeaseKeepAliveRequest or LeaseRevokeRequest: both hold the id alone. */
export function encodeLeaseId(id: bigint): Uint8Array {
  return LeaseKeepAliveRequest.encode({ ID: id }).finish();
}

/** Reads the seconds of an etcdserverpb.LeaseKeepAliveResponse; 0: the lease has ended. Throws Error. */
export function decodeKeepAlive(bytes: Uint8Array): number {
  return Number(LeaseKeepAliveResponse.decode(bytes).TTL);
}
