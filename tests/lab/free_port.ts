/** Ports for services of tests, of which many run at the same time. */
import { freePort as portThatIsFree } from "../../services/store/etcd_process.ts";
import { RUN_DIRECTORY } from "./shared.ts";

/** What this process has been given. */
const given = new Set<number>();

/**
 * A TCP port of 127.0.0.1 on which no program listens, and which no other test of this run is given: two that look at the same time
 * would both find it free.
 */
export function freePort(): number {
  const run = Deno.env.get(RUN_DIRECTORY);
  for (;;) {
    const port = portThatIsFree();
    if (given.has(port) || run && !isOurs(`${run}/port-${port}`)) continue;
    given.add(port);
    return port;
  }
}

/** True for the first that asks. */
function isOurs(path: string): boolean {
  try {
    Deno.openSync(path, { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}
