/** Runs a service as a child process for `strand up`, and starts it again when it ends. */
import type { Log } from "../../services/common/log.ts";
import { delay } from "../../services/common/async.ts";
import type { HostPort } from "../../services/common/host_port.ts";
import { request } from "../../services/common/http/request.ts";
import { STOP_WITHIN } from "../../services/common/signals.ts";
import { Process } from "./process.ts";

export interface ServiceOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The address of its status server, which has /readyz. */
  readonly statusAt: HostPort;
  /** Called with each line that it writes. */
  readonly onLine: (line: string) => void;
  readonly log: Log;
}

/** A run that lasted this long, in ms, was no false start. */
const STEADY = 30_000;
const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 5000;

/** A service as a child process that is started again when it ends. */
export class Service {
  private process: Process | undefined;
  private readyProcess: Process | undefined;
  private readonly stopping = new AbortController();
  private supervised: Promise<void> = Promise.resolve();

  constructor(private readonly options: ServiceOptions) {}

  get name(): string {
    return this.options.name;
  }

  /** True once it has said so, until it ends. */
  get isReady(): boolean {
    return this.readyProcess !== undefined && this.readyProcess === this.process && this.readyProcess.alive;
  }

  /**
   * Starts it and resolves when it is ready.
   *
   * @throws Error with its last line when it ends first: then something is wrong that starting again does not mend.
   */
  async start(): Promise<void> {
    const process = this.launch();
    await this.ready(process);
    if (!process.alive && !this.stopping.signal.aborted) {
      const { code } = await process.ended;
      throw new Error(process.lines.at(-1) ?? `${this.name} ended with status ${code}`);
    }
    this.supervised = this.supervise(process);
  }

  /** Ends it in order, after 5 s in any case, and does not start it again. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.process?.stop("SIGTERM", STOP_WITHIN);
    await this.supervised;
  }

  private launch(): Process {
    const { command, env, onLine } = this.options;
    return this.process = new Process(command, { env, onLine });
  }

  /** Logs when it is ready; gives up silently when it ends. */
  private async ready(process: Process): Promise<void> {
    const started = performance.now();
    while (process.alive && !(await answersReady(this.options.statusAt))) await delay(50);
    if (!process.alive) return;
    this.readyProcess = process;
    const ms = Math.round(performance.now() - started);
    this.options.log.info({ ready: this.name, pid: process.pid, ms }, `${this.name} is ready`);
  }

  private async supervise(first: Process): Promise<void> {
    const { signal } = this.stopping;
    let process = first, wait = FIRST_PAUSE, started = performance.now();
    for (;;) {
      const { code, signal: by } = await process.ended;
      if (signal.aborted) return;
      if (performance.now() - started > STEADY) wait = FIRST_PAUSE;
      this.options.log.warn(
        { status: by ?? code, againInMs: wait },
        `${this.name} ended; it is started again`,
      );
      await delay(wait, signal);
      if (signal.aborted) return;
      wait = Math.min(wait * 2, LONGEST_PAUSE);
      started = performance.now();
      process = this.launch();
      void this.ready(process);
    }
  }
}

async function answersReady(at: HostPort): Promise<boolean> {
  try {
    return (await request(at, "GET", "/readyz", 1000)).status === 200;
  } catch {
    return false; // Not listening yet: asked again.
  }
}
