/** Runs child processes whose output lines can be waited for, and which end at the latest with this process. */
import { deadline, delay } from "../../services/common/async.ts";
import { messageOf } from "../../services/common/refusal.ts";

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each line as it comes, without its line feed. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
  /** How long its streams are read after its end, in ms: a process that it has left behind may keep them open (default 20,000). */
  readonly drainMs?: number;
}

/** The number of lines of a child's output that are kept. */
const KEPT = 2000;

/** How much of what a command wrote is told when its time is up, of each stream, in characters. */
const LAST = 8_000;

/** A child process that runs; its end comes with {@link Process.stop}, or with this process. */
export class Process {
  /** The newest lines of both streams, in the order they came. */
  readonly lines: string[] = [];
  /** Resolves with the exit status, once what it wrote has been read. */
  readonly ended: Promise<Deno.CommandStatus>;
  private readonly child: Deno.ChildProcess;
  /** Aborted, and replaced, when it has written a line or ended. */
  private changed = new AbortController();
  private over = false;

  constructor(readonly command: readonly string[], { env, onLine, drainMs = 20_000 }: ProcessOptions = {}) {
    this.child = new Deno.Command("setpriv", {
      // When this process is killed, the kernel also ends its children.
      args: ["--pdeathsig=TERM", ...command],
      ...(env && { env }),
      // Ctrl-C reaches only this process, which then ends the others in order.
      detached: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const late = new AbortController();
    const read = async (stream: "stdout" | "stderr") => {
      for await (const line of linesOf(this.child[stream], late.signal)) {
        this.lines.push(line);
        if (this.lines.length > KEPT) this.lines.shift();
        onLine?.(line, stream);
        this.wake();
      }
    };
    const reading = Promise.all([read("stdout"), read("stderr")]).catch((error) => {
      if (!late.signal.aborted) throw error;
    });
    const status = this.child.status.then(async (status) => {
      await deadline(reading, drainMs, () => late.abort());
      return status;
    });
    this.ended = Promise.all([status, reading]).then(([status]) => {
      this.over = true;
      this.wake();
      return status;
    });
  }

  get pid(): number {
    return this.child.pid;
  }

  get alive(): boolean {
    return !this.over;
  }

  /**
   * Resolves with the first matching line, old or new.
   *
   * @throws Error with the last lines when the process ends or `timeout` (ms) passes before that
   */
  async line(fits: RegExp, timeout = 60_000): Promise<string> {
    const until = Date.now() + timeout;
    for (;;) {
      const found = this.lines.find((line) => fits.test(line));
      if (found !== undefined) return found;
      const left = until - Date.now();
      if (this.over || left <= 0) {
        const why = this.over ? "it ended" : `${timeout} ms passed`;
        throw new Error(`${this.command.join(" ")}: ${why} without ${fits}; its last lines:\n${this.tail()}`);
      }
      await delay(left, this.changed.signal);
    }
  }

  /** The last lines it wrote. */
  tail(count = 60): string {
    return this.lines.slice(-count).join("\n");
  }

  /** Sends a signal, unless the process has ended. */
  signal(name: Deno.Signal): void {
    try {
      if (this.alive) this.child.kill(name);
    } catch (error) {
      if (!/terminated|no such process|not found/i.test(messageOf(error))) throw error;
    }
  }

  /** Asks the process to end, and kills it when it has not ended within `patience` ms. */
  async stop(name: Deno.Signal = "SIGTERM", patience = 8000): Promise<Deno.CommandStatus> {
    this.signal(name);
    const timer = setTimeout(() => this.signal("SIGKILL"), patience);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  private wake(): void {
    const { changed } = this;
    this.changed = new AbortController();
    changed.abort();
  }
}

/** The lines of a byte stream, without their line feeds. Throws the reason of `signal`, which gives up the rest. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream(), { ...(signal && { signal }) })) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest) yield rest;
}

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** True: a status other than 0 is an answer, not an error. */
  readonly mayFail?: boolean;
  /** The time limit in ms, after which it is killed (default 120,000). */
  readonly timeout?: number;
}

/** Runs a command to its end. Throws with what it wrote when its status is not 0, unless it may fail, and when its time is up. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Output> {
  const [file = "", ...args] = command;
  const child = new Deno.Command(file, {
    args,
    ...(options.env && { env: options.env }),
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { timeout = 120_000 } = options;
  // Both run at the same time: a command that writes more than a pipe holds before it reads would otherwise block.
  const written = options.stdin === undefined ? undefined : feed(child.stdin, options.stdin);
  const streams = [new Gathered(child.stdout), new Gathered(child.stderr)] as const;
  const [stdout, stderr] = streams;
  const ended = Promise.all([child.status, stdout.ended, stderr.ended, written]);
  const [{ code }] = await deadline(ended, timeout, () => {
    const family = stoppedFamily(child.pid);
    for (const { pid } of family) signal(pid, "SIGKILL");
    // This does not wait for the end of the output: a detached process may keep the streams open.
    for (const stream of streams) stream.close();
    const wrote = streams.map(({ text }) => text.trim().slice(-LAST)).filter(Boolean).join("\n");
    const were = family.map(({ was }) => was).join(", ") ||
      "it has ended, but another process has its output open";
    const last = wrote ? `; it wrote:\n${wrote}` : "";
    throw new Error(`${command.join(" ")}: ended after ${timeout} ms, which is all it had (${were})${last}`);
  });
  const output = { code, stdout: stdout.text, stderr: stderr.text };
  if (code !== 0 && !options.mayFail) {
    throw new Error(`${command.join(" ")}: exit status ${code}: ${(output.stderr || output.stdout).trim()}`);
  }
  return output;
}

/** A process that was stopped. */
interface Stopped {
  readonly pid: number;
  /** Its name, its state and its processor time, as they were just before. */
  readonly was: string;
}

/** Stops a process and its descendants, so that none starts another one meanwhile. Orphaned descendants are not found. */
function stoppedFamily(pid: number): Stopped[] {
  try {
    const was = lookOf(pid);
    signal(pid, "SIGSTOP");
    // Each of its threads has children of its own.
    const children = [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) =>
      Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`).split(" ").filter(Boolean)
    );
    return [{ pid, was }, ...children.flatMap((child) => stoppedFamily(Number(child)))];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // It has ended.
    throw error;
  }
}

/**
 * Says whether a process waited or worked, in which function of the kernel, and how much it had worked. An event loop that waits
 * for events is in another one than a thread that waits for a lock.
 */
function lookOf(pid: number): string {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  const [state = "", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const seconds = (Number(fields[10]) + Number(fields[11])) / 100;
  return `${name}: ${state} in ${kernelFunction(pid)} after ${seconds.toFixed(1)} s of processor time`;
}

function kernelFunction(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/wchan`);
  } catch {
    return "?"; // Some kernels do not tell.
  }
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // It ended by itself in between.
  }
}

/** Writes the input as far as it is read: a command may end earlier, and only its status counts. */
async function feed(stdin: WritableStream<Uint8Array<ArrayBuffer>>, input: string): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch((error) => {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  });
}

/** Reads a stream to its end, and keeps its text. */
class Gathered {
  /** The text that has come so far. */
  text = "";
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader();
    this.ended = this.#read();
  }

  /** Gives up the rest. */
  close(): void {
    void this.#reader.cancel();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#reader.read();
      this.text += decoder.decode(value, { stream: !done });
      if (done) return;
    }
  }
}
