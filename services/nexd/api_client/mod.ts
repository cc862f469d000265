/**
 * A client of nexd's gRPC API, for programs of others: a typed method for each request, nexd's own sentence in errors, a deadline
 * for each call, and TLS with a client certificate. Its messages are those of `nex.proto`.
 *
 * @example
 * const nexd = new NexdClient({ server: "127.0.0.1:6000" });
 * const [done] = await nexd.apply({ networks: [{ name: "mini", subnet4: "10.0.0.0/24" }] });
 * nexd.close();
 *
 * @module
 */

export { type ApplySpec, NexdClient, type NexdClientOptions } from "./client.ts";
export { NexdError, type NexdErrorCode } from "./errors.ts";
export type * from "../../../proto/types.ts";
