/** Formats stored values and server messages for a terminal or a file; no format lets control characters through. */
import { printable } from "../services/common/refusal.ts";

export { printable };
export { yamlText } from "../services/nexd/client/spec_of.ts";

/** A value as JSON text, with its newline. */
export function jsonText(value: unknown): string {
  // JSON itself escapes only characters below 0x20; these control terminals too.
  return JSON.stringify(value, null, 2).replace(
    /[\x7f-\x9f]/g,
    (c) => `\\u00${c.charCodeAt(0).toString(16)}`,
  ) + "\n";
}

/** Columns, each as wide as its widest cell, with `gap` between them; a line feed ends each row. */
export function columns(rows: readonly (readonly string[])[], gap = " "): string {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  return cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(gap).trimEnd() + "\n")
    .join("");
}
