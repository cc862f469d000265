/** Connects from inside a container's network namespace. */
import { abortConnection } from "../../../ffi/abort.ts";
import { libc } from "../../../ffi/libc.ts";
import { namespaceIdentity, openNamespace } from "../../../ffi/netns.ts";
import { connectIn } from "../../../ffi/sockets_in.ts";
import { type ByteStream, ConnectionStream } from "../../common/http/byte_stream.ts";
import { messageOf, reasonOf } from "../../common/refusal.ts";
import { HttpError } from "../http/answers.ts";
import type { Destination } from "./request.ts";

/** The path of a network namespace, and its identity as namespaceIdentity() returns it. */
export interface CheckedNamespace {
  readonly netns: string;
  readonly identity: string;
}

/**
 * Connects from inside a namespace that was checked before. The namespace is opened for each connection, since a
 * descriptor that stays open would keep it alive.
 *
 * @param signal Aborts the attempt; its reason is thrown.
 * @throws HttpError 502 when the namespace is gone, or the connection is refused
 */
export async function connectInside(
  { netns, identity }: CheckedNamespace,
  { ip, port }: Destination,
  signal: AbortSignal,
): Promise<ByteStream> {
  let namespace: number;
  try {
    namespace = openNamespace(netns);
  } catch (error) {
    throw new HttpError(502, `the endpoint's network namespace cannot be entered: ${messageOf(error)}`);
  }
  try {
    if (namespaceIdentity(namespace) !== identity) {
      throw new HttpError(502, `the endpoint's network namespace is gone: another one is at ${netns}`);
    }
    const connection = await connectIn(namespace, { hostname: ip, port, signal });
    // Keepalive probes notice when the target's host disappeared without closing.
    connection.setKeepAlive(true);
    connection.setNoDelay(true);
    return new ConnectionStream(connection, { abort: abortConnection });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HttpError) throw error;
    throw new HttpError(502, `no connection to ${ip}:${port} inside the network: ${reasonOf(error)}`);
  } finally {
    libc.close(namespace);
  }
}
