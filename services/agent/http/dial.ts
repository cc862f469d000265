import { libc } from "../../../ffi/libc.ts";
import { namespaceIdentity, openNamespace } from "../../../ffi/netns.ts";
import { connectIn } from "../../../ffi/sockets_in.ts";
import { messageOf, reasonOf } from "../../common/refusal.ts";
import { HttpError } from "./answers.ts";
import type { Where } from "./ask.ts";
import { lasting } from "./lasting.ts";
import type { End } from "../../common/http/ends.ts";

/** A network namespace: where it is, and which one it is, as namespaceIdentity() says it. */
export interface Inside {
  readonly netns: string;
  readonly identity: string;
}

/**
 * Connects from inside a namespace that was checked before. It is opened again for each connection, since a descriptor that is kept would keep it alive.
 *
 * @param signal Gives it up; its reason is thrown.
 * @throws HttpError 502 when the namespace is gone, or nobody answers there.
 */
export async function dial(
  { netns, identity }: Inside,
  { ip, port }: Where,
  signal: AbortSignal,
): Promise<End> {
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
    return lasting(await connectIn(namespace, { hostname: ip, port, signal }));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HttpError) throw error;
    throw new HttpError(502, `no connection to ${ip}:${port} inside the network: ${reasonOf(error)}`);
  } finally {
    libc.close(namespace);
  }
}
