/** Converts lease requests and answers to and from etcd's messages, see messages.ts. */
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
} from "../../proto/gen/etcd.ts";

/** A new lease, and its time to live without a keep-alive: at least the requested one. */
export interface Granted {
  readonly id: bigint;
  readonly ttlSeconds: number;
}

/** Encodes an etcdserverpb.LeaseGrantRequest; etcd chooses the id where none is given. */
export function encodeGrant(ttlSeconds: number, id = 0n): Uint8Array {
  return LeaseGrantRequest.encode({ TTL: BigInt(ttlSeconds), ID: id }).finish();
}

/** Reads an etcdserverpb.LeaseGrantResponse. Throws Error for malformed bytes. */
export function decodeGrant(bytes: Uint8Array): Granted {
  const { ID: id, TTL: ttl } = LeaseGrantResponse.decode(bytes);
  if (id === 0n || ttl <= 0n) throw new RangeError("etcd granted no lease");
  return { id, ttlSeconds: Number(ttl) };
}

/** Encodes an etcdserverpb.LeaseKeepAliveRequest or LeaseRevokeRequest: both contain only the id. */
export function encodeLeaseId(id: bigint): Uint8Array {
  return LeaseKeepAliveRequest.encode({ ID: id }).finish();
}

/** Reads the seconds of an etcdserverpb.LeaseKeepAliveResponse; 0: the lease has ended. Throws Error, also for another lease's. */
export function decodeKeepAlive(bytes: Uint8Array, id: bigint): number {
  const answer = LeaseKeepAliveResponse.decode(bytes);
  if (answer.ID !== id) throw new RangeError(`etcd renewed the lease ${answer.ID} in place of ${id}`);
  return Number(answer.TTL);
}
