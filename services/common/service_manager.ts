/**
 * Notifies systemd, or another manager that set NOTIFY_SOCKET (sd_notify(3)): that the service is ready, what it
 * waits for, that its main loop runs (the watchdog), and that it stops.
 */
import { repeat } from "./async.ts";
import type { Report } from "./http_status.ts";
import type { Log } from "./log.ts";
import { messageOf, printable } from "./refusal.ts";

/**
 * After this time, in ms, a service that is not ready is reported as ready all the same, and STATUS says what it
 * waits for. It waits for etcd without limit; if the manager waited too, that would hold back the boot, every unit
 * ordered after this one (such as Docker, in which etcd may run) and package upgrades. Units must allow more:
 * TimeoutStartSec=90.
 */
const LONGEST_START = 30_000;
/** How often readiness and status are checked, in ms. */
const EVERY_STARTING = 500, EVERY_RUNNING = 5000;

export interface ManagerOptions {
  /** Sends a datagram to a Unix socket (`@NAME` is an abstract one); throws when that fails. */
  readonly send: (socket: string, text: string) => void;
  readonly report: () => Report;
  /** False while a thread of the process hangs; asked before each keep-alive notification. */
  readonly isAlive?: () => boolean;
  readonly log: Log;
  readonly env?: Environment;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
}

/** The source of the manager's variables (default: this process's environment). */
type Environment = Pick<typeof Deno.env, "get" | "delete">;

/**
 * Removes the manager's variables from the environment: a child process that inherited them could send notifications
 * in this process's name, which NotifyAccess=all accepts.
 *
 * @returns the socket, and the longest time in ms between two keep-alive notifications; undefined where none are
 *   required
 */
export function takeNotifySocket(env: Environment = Deno.env): { socket?: string; watchdog?: number } {
  const [socket, usec, pid] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].map((name) => {
    const value = env.get(name);
    env.delete(name);
    return value;
  });
  const isOurs = Number(usec) > 0 && (!pid || Number(pid) === Deno.pid);
  return { ...socket && { socket }, ...isOurs && { watchdog: Number(usec) / 1000 } };
}

/** The manager of this process; nothing is sent where there is none. */
export class ServiceManager {
  readonly #options: ManagerOptions;
  readonly #socket: string | undefined;
  /** The interval of keep-alive notifications in ms; undefined: none are required. */
  readonly #watchdog: number | undefined;
  readonly #now: () => number;
  readonly #begun: number;
  #stop = () => Promise.resolve();
  #ready = false;
  #status = "";
  #failed = false;

  constructor(options: ManagerOptions) {
    const { env, now = () => performance.now() } = this.#options = options;
    this.#now = now;
    this.#begun = now();
    const { socket, watchdog } = takeNotifySocket(env);
    this.#socket = socket;
    // A third of the limit, although sd_watchdog_enabled(3) recommends half: a busy machine runs timers late.
    this.#watchdog = watchdog === undefined ? undefined : watchdog / 3;
    if (!socket) return;
    this.#check();
    const pause = () => Math.min(this.#ready ? EVERY_RUNNING : EVERY_STARTING, this.#watchdog ?? Infinity);
    // This runs on the event loop, so a process whose main loop hangs sends no keep-alive.
    this.#stop = repeat(pause, () => Promise.resolve(this.#check()));
  }

  /** Checks at once whether the service is ready by now. */
  started(): void {
    if (this.#socket) this.#check();
  }

  /** Sends the last notification: the service stops. */
  stopping(): void {
    void this.#stop();
    if (this.#socket) this.#send(["STOPPING=1", "STATUS=stopping"]);
  }

  #check(): void {
    const { ready, status } = this.#state();
    const becomesReady = !this.#ready && (ready || this.#now() - this.#begun >= LONGEST_START);
    const lines = [
      ...becomesReady ? ["READY=1"] : [],
      ...status === this.#status ? [] : [`STATUS=${status}`],
      ...this.#isAlive() ? ["WATCHDOG=1"] : [],
    ];
    // A notification that could not be sent is repeated the next time.
    if (lines.length && this.#send(lines)) {
      this.#ready ||= becomesReady;
      this.#status = status;
    }
  }

  #isAlive(): boolean {
    return this.#watchdog !== undefined && (this.#options.isAlive?.() ?? true);
  }

  #state(): { ready: boolean; status: string } {
    try {
      const { ready, problems } = this.#options.report();
      const [first] = [...problems].sort((a, b) => Number(b.blocks) - Number(a.blocks));
      const told = first ? `${first.what}: ${first.fix}` : "";
      return { ready, status: printable(`${ready ? "ready" : "not ready"}${told && `; ${told}`}`) };
    } catch (error) {
      return { ready: false, status: printable(`not ready; ${messageOf(error)}`) };
    }
  }

  #send(lines: readonly string[]): boolean {
    try {
      this.#options.send(this.#socket ?? "", lines.join("\n"));
      this.#failed = false;
      return true;
    } catch (error) {
      if (!this.#failed) {
        this.#options.log.warn(`NOTIFY_SOCKET: systemd cannot be notified: ${messageOf(error)}`);
      }
      this.#failed = true;
      return false;
    }
  }
}
