/**
 * What a service tells systemd, or another manager that gave it NOTIFY_SOCKET (sd_notify(3)): that it is ready, what
 * keeps it from that, that it lives, and that it stops.
 */
import { repeat } from "./async.ts";
import type { Report } from "./http_status.ts";
import type { Log } from "./log.ts";
import { messageOf, printable } from "./refusal.ts";

/**
 * A service that is not ready after so long, in ms, is called ready all the same, and STATUS says what it waits for.
 * It waits for etcd without end; a manager that waited with it would hold back the boot, every unit ordered after this
 * one (Docker, in which that etcd may run) and a package's upgrade. Units must allow more: TimeoutStartSec=90.
 */
const LONGEST_START = 30_000;
/** How often it looks whether the service is ready, and whether its status is another, in ms. */
const EVERY_STARTING = 500, EVERY_RUNNING = 5000;

export interface ManagerOptions {
  /** Sends a datagram to a Unix socket, `@NAME` being an abstract one; throws when it cannot. */
  readonly send: (socket: string, text: string) => void;
  readonly report: () => Report;
  readonly log: Log;
  readonly env?: Environment;
  /** Milliseconds on a clock that does not go back. */
  readonly now?: () => number;
}

/** Where the manager's variables are (default: this process's environment). */
type Environment = Pick<typeof Deno.env, "get" | "delete">;

/**
 * Takes the manager's variables out of the environment: a child that inherited them would speak in this process's name,
 * and be believed where NotifyAccess=all.
 *
 * @returns the socket, and the longest time in ms between two signs of life; undefined where none is wanted
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
  /** After so long, in ms, it gives its next sign of life; undefined: none is wanted. */
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
    // A third, where sd_watchdog_enabled(3) says half: a busy machine runs timers late.
    this.#watchdog = watchdog === undefined ? undefined : watchdog / 3;
    if (!socket) return;
    this.#check();
    const pause = () => Math.min(this.#ready ? EVERY_RUNNING : EVERY_STARTING, this.#watchdog ?? Infinity);
    // On the event loop: a process that hangs gives no sign of life.
    this.#stop = repeat(pause, () => Promise.resolve(this.#check()));
  }

  /** Says so at once when the service is ready by now. */
  started(): void {
    if (this.#socket) this.#check();
  }

  /** The last that is said. */
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
      ...this.#watchdog === undefined ? [] : ["WATCHDOG=1"],
    ];
    // What could not be sent is said again the next time.
    if (lines.length && this.#send(lines)) {
      this.#ready ||= becomesReady;
      this.#status = status;
    }
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
      if (!this.#failed) this.#options.log.warn(`NOTIFY_SOCKET: systemd is not told: ${messageOf(error)}`);
      this.#failed = true;
      return false;
    }
  }
}
