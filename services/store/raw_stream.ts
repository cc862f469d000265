/** A gRPC stream whose messages are encoded and decoded by its users. */
import type { ClientDuplexStream } from "@grpc/grpc-js";

/** A stream of raw etcd messages in both directions. */
export type RawStream = ClientDuplexStream<Uint8Array, Uint8Array>;
