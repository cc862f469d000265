/** Ports for services of tests, of which many run at the same time. */
import { freePort as portThatIsFree } from "../../services/store/etcd_process.ts";
import { RUN_DIRECTORY } from "./shared.ts";

/** The ports above 1023 that fetch() refuses to ask, by the Fetch Standard's "port blocking". */
const BLOCKED = [
  ...[1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566],
  ...[6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080],
];

/** The ports that this process has been given, and those that no test is to get. */
const given = new Set<number>(BLOCKED);

/**
 * A TCP port of 127.0.0.1 on which no program listens, and which no other test of this run is given: two that look at the same time
 * would both find it free. None is of those that an etcd started by the product itself chooses from.
 */
export function freePort(): number {
  const run = Deno.env.get(RUN_DIRECTORY);
  for (;;) {
    const port = portThatIsFree(20_000, 32_767);
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
