/** Prints what a server holds: once, or again and again as it changes. */
import { delay } from "../services/common/async.ts";
import { printable, Refusal } from "../services/common/refusal.ts";
import { serialize } from "./nex/show.ts";
import type { Terminal } from "./terminal.ts";

/** The options of a command that shows something. */
export interface ShowOptions {
  readonly output: "table" | "wide" | "json" | "yaml";
  readonly watch?: boolean;
}

/** The data that was found, in the forms in which it can be printed. */
export interface PrintableResult {
  /** @param now milliseconds since the epoch, for the time that is left of a lease */
  table(wide: boolean, now: number): string;
  /** The value for JSON and YAML. */
  value(): unknown;
  /** YAML of its own, where that is not the value's. */
  yaml?(): Promise<string>;
}

/** How often a watched list is asked for, in ms. */
const EVERY = 2000;
/** Clears a terminal. */
const CLEAR = "\x1b[H\x1b[2J\x1b[3J";

/**
 * Prints what `find` returns. With `watch` it goes on until its reader or the user ends it: a terminal is drawn again after each
 * change; otherwise each row that comes is printed after a plus, and each that goes after a minus. What cannot be had is said
 * once and asked for again.
 *
 * @param explain One sentence about an error.
 */
export async function show(
  terminal: Terminal,
  { output, watch = false }: ShowOptions,
  find: () => Promise<PrintableResult>,
  explain: (error: unknown) => string,
): Promise<void> {
  const text = async (found: PrintableResult, now: number) => {
    if (output === "table" || output === "wide") return found.table(output === "wide", now);
    return output === "yaml" && found.yaml ? await found.yaml() : await serialize(found.value(), output);
  };
  if (!watch) return terminal.print(await text(await find(), Date.now()));

  const began = Date.now(), isTable = output === "table" || output === "wide";
  let before: string | undefined, trouble = "";
  for (;; await delay(EVERY)) {
    try {
      const found = await find();
      // The time that is left of a lease is no change.
      const now = await text(found, began), current = await text(found, Date.now());
      trouble = "";
      if (now === before && !(terminal.isTerminal && isTable)) continue;
      const printed = terminal.isTerminal && isTable
        ? CLEAR + current
        : isTable && before !== undefined
        ? changes(before, now, current)
        : before === undefined || output === "json"
        ? current
        : `---\n${current}`;
      before = now;
      if (!await terminal.write(new TextEncoder().encode(printed))) return;
    } catch (error) {
      // Wrong usage, and what the server refuses, stay as they are.
      if (before === undefined || (error instanceof Refusal && error.code !== "unavailable")) throw error;
      const sentence = explain(error);
      if (sentence !== trouble) terminal.screen.write(`strand: ${printable(sentence)}; trying again\n`);
      trouble = sentence;
    }
  }
}

/** The rows that have gone and come, a line each. @param current The rows of `now` as they are printed */
function changes(before: string, now: string, current: string): string {
  const rows = now.split("\n"), shown = current.split("\n"), had = before.split("\n");
  const [was, is] = [new Set(had), new Set(rows)];
  const gone = had.filter((row) => row && !is.has(row)).map((row) => `- ${row}\n`);
  const come = rows.flatMap((row, i) => row && !was.has(row) ? [`+ ${shown[i]}\n`] : []);
  return [...gone, ...come].join("");
}
