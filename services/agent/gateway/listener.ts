/** The Unix socket at which gatewayd connects to the agent. */
import { ECONNREFUSED, SystemError } from "../../../ffi/errno.ts";
import { MessageListener, MessageSocket } from "../../../ffi/unix_messages.ts";

/**
 * Listens at a path, to which every user may connect: who is let in is decided by the kernel's word about the peer. A socket
 * that a dead agent has left is replaced.
 *
 * @throws Error when another agent listens there, or when it cannot be created
 */
export function listenForGatewayd(path: string): MessageListener {
  removeLeftOver(path);
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: true, mode: 0o755 });
  const listener = MessageListener.listen(path);
  Deno.chmodSync(path, 0o666);
  return listener;
}

function removeLeftOver(path: string): void {
  try {
    MessageSocket.connect(path).close();
  } catch (error) {
    const isLeft = error instanceof SystemError && error.errno === ECONNREFUSED;
    if (isLeft && Deno.lstatSync(path).isSocket) Deno.removeSync(path);
    return; // What else is there makes the call fail that listens.
  }
  throw new Error(`another agent listens there; give each agent of this machine a path of its own`);
}
