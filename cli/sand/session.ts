/** The session that all commands of `sand-agent-cli` share: terminal, global options, agent client and output format. */
import type { Command } from "commander";
import { jsonText, printable } from "../output.ts";
import { withProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import type { SandAgent } from "./agent.ts";
import type { TlsOptions } from "./tls.ts";
import type { Duration } from "./values.ts";

/** The options that stand before or after every command. */
export interface GlobalOptions extends TlsOptions {
  readonly apiUrl: URL;
  readonly timeout: Duration;
}

export type SandOutputFormat = "table" | "json";

/** The state that the commands share: the terminal, and the agent that the program's options name. */
export class Session {
  constructor(private readonly program: Command, readonly terminal: Terminal) {}

  /** The agent; nothing is sent yet. */
  agent(): Promise<SandAgent> {
    return openAgent(this.program.opts<GlobalOptions>());
  }

  /** The timeout, if the option was given. */
  get timeout(): Duration | undefined {
    const given = this.program.getOptionValueSource("timeout") !== "default";
    return given ? this.program.opts<GlobalOptions>().timeout : undefined;
  }

  /** Waits for an agent's work, and says so where it takes long. */
  wait<T>(work: Promise<T>): Promise<T> {
    return withProgress("waiting for the agent", this.terminal.screen, work);
  }

  line(text: string): void {
    this.terminal.print(text + "\n");
  }

  /** A line on standard error. */
  warn(text: string): void {
    this.terminal.screen.write(`${this.program.name()}: ${printable(text)}\n`);
  }

  /** An answer of the API, as JSON or as the lines that `table` makes of it. */
  show(format: SandOutputFormat, answer: unknown, table: () => readonly string[]): void {
    if (format === "json") this.terminal.print(jsonText(answer));
    else for (const line of table()) this.line(line);
  }
}

/** Loads the client of the agent; a command that needs none is spared that. */
export async function openAgent({ apiUrl, timeout, ...files }: GlobalOptions): Promise<SandAgent> {
  const { SandAgent } = await import("./agent.ts");
  if (apiUrl.protocol === "http:") return new SandAgent(apiUrl, timeout, undefined);
  const { readClientTls } = await import("./tls.ts");
  return new SandAgent(apiUrl, timeout, readClientTls(files));
}
