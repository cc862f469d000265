import { libc } from "../../../ffi/libc.ts";
import { openNamespace } from "../../../ffi/netns.ts";
import { connectIn } from "../../../ffi/sockets_in.ts";
import { messageOf, reasonOf } from "../../common/refusal.ts";
import { HttpError } from "./answers.ts";
import type { Where } from "./ask.ts";
import { lasting } from "./lasting.ts";
import type { End } from "../../common/http/ends.ts";

/**
 * Connects from inside the namespace at `netns`.
 *
 * @param signal Gives it up; its reason is thrown.
 * @throws HttpError 502 when the namespace is gone, or nobody answers there.
 */
export async function dial(netns: string, { ip, port }: Where, signal: AbortSignal): Promise<End> {
  let namespace: number;
  try {
    namespace = openNamespace(netns);
  } catch (error) {
    throw new HttpError(502, `the endpoint's network namespace cannot be entered: ${messageOf(error)}`);
  }
  try {
    return lasting(await connectIn(namespace, { hostname: ip, port, signal }));
  } catch (error) {
    signal.throwIfAborted();
    throw new HttpError(502, `no connection to ${ip}:${port} inside the network: ${reasonOf(error)}`);
  } finally {
    libc.close(namespace);
  }
}
