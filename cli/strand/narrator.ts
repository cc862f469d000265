/** Prints the steps of `strand demo` with their results and durations, for people or as JSON lines. */
import { messageOf } from "../../services/common/refusal.ts";
import { type Paint, painter } from "../colour.ts";

/** Prints the steps of a demonstration as they happen: for people, or as a JSON object per line. */
export class Narrator {
  private readonly began = performance.now();

  /** @param stopped Aborted when later failures are caused by the stop. */
  constructor(
    private readonly form: "text" | "json",
    private readonly stopped?: AbortSignal,
    private readonly write: (line: string) => void = console.log,
    private readonly paint: Paint = painter(Deno.stdout.isTerminal()),
  ) {}

  /** Runs a step, and prints its result and duration; throws what the step threw. */
  async step(what: string, act: () => Promise<string>): Promise<void> {
    const started = performance.now();
    let detail: string;
    try {
      detail = (await act()).trimEnd();
    } catch (error) {
      this.failed(what, messageOf(error));
      throw error;
    }
    const ms = Math.round(performance.now() - started);
    if (this.form === "json") return this.write(JSON.stringify({ step: what, ok: true, ms, detail }));
    const [first = "", ...rest] = detail.split("\n");
    const inline = rest.length === 0 && first !== "" ? ` → ${first}` : "";
    this.write(`${this.clock()}  ${what}${inline}  (${ms} ms)`);
    if (rest.length > 0) this.write(indent(detail));
  }

  /** Prints a failure, unless the demonstration is being stopped. */
  failed(what: string, detail: string): void {
    if (this.stopped?.aborted) return;
    if (this.form === "json") this.write(JSON.stringify({ step: what, ok: false, detail }));
    else this.write(`${this.clock()}  ${this.paint("red", `FAILED: ${what}`)}\n${indent(detail)}`);
  }

  /** Prints a text, for people only. */
  aside(text: string): void {
    if (this.form === "text") this.write(text);
  }

  done(ok: boolean): void {
    const ms = Math.round(performance.now() - this.began);
    if (this.form === "json") this.write(JSON.stringify({ step: "done", ok, ms }));
    else {this.write(
        ok
          ? `Done in ${(ms / 1000).toFixed(1)} s; nothing is left behind.`
          : "Ended; nothing is left behind.",
      );}
  }

  private clock(): string {
    return `${((performance.now() - this.began) / 1000).toFixed(2).padStart(7)} s`;
  }
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "             ");
}
