/** Opens the Unix socket at which root processes of this machine use the agent's API. */
import type { Listening } from "../../common/http/acceptor.ts";
import { messageOf, reasonOf, Refusal } from "../../common/refusal.ts";

/**
 * Listens on a Unix socket to which only this process's user, root, may connect. A socket left by an agent that died
 * is replaced.
 *
 * @throws Refusal when another agent listens there, when something else is at the path, or when it cannot be created
 */
export async function listenLocally(path: string): Promise<Listening> {
  await removeLeftOver(path);
  try {
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: true, mode: 0o755 });
    // The umask applies to this call, so other users can connect at no time.
    const mask = Deno.umask(0o177);
    try {
      const listener = Deno.listen({ transport: "unix", path });
      const close = () => {
        try {
          // The path is still ours: an agent that started meanwhile would have refused to listen while this one did.
          Deno.removeSync(path);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        } finally {
          listener.close();
        }
      };
      return { accept: () => listener.accept(), close };
    } finally {
      Deno.umask(mask);
    }
  } catch (error) {
    throw refused(path, reasonOf(error), error);
  }
}

async function removeLeftOver(path: string): Promise<void> {
  let found: Deno.FileInfo;
  try {
    found = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw refused(path, reasonOf(error), error);
  }
  if (!found.isSocket) throw refused(path, "something that is no socket is there");
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw refused(path, messageOf(error), error);
    Deno.removeSync(path);
    return;
  }
  throw refused(path, "another agent listens there; give each agent of this machine a path of its own");
}

function refused(path: string, why: string, cause?: unknown): Refusal {
  return new Refusal("unavailable", `STRAND_AGENT_SOCKET: cannot listen on ${path}: ${why}`, { cause });
}
