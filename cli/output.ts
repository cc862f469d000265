/** Formats stored values and server messages for a terminal or a file; no format lets control characters through. */
import { tryParseMac } from "../services/common/mac.ts";
import { printable } from "../services/common/refusal.ts";

export { printable };

/** A value as JSON text, with its newline. */
export function jsonText(value: unknown): string {
  // JSON itself escapes only characters below 0x20; these control terminals too.
  return JSON.stringify(value, null, 2).replace(/[\x7f-\x9f]/g, (c) => `\\u00${hex(c)}`) + "\n";
}

/** A value as YAML text, with its newline; readers of YAML 1.1 and 1.2 understand the same. */
export async function yamlText(value: unknown): Promise<string> {
  const { Document, visit } = await import("yaml");
  const document = new Document(value, { compat: "yaml-1.1" });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value !== "string") return;
      // YAML has escapes only between double quotes. A MAC of digits is a number in base 60 in YAML 1.1.
      if (/\p{Cc}/u.test(node.value) || tryParseMac(node.value)) node.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({ doubleQuotedAsJSON: true }).replace(/[\x7f-\x9f]/g, (c) => `\\x${hex(c)}`);
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, "0");
}

/** Columns, each as wide as its widest cell, with `gap` between them; a line feed ends each row. */
export function columns(rows: readonly (readonly string[])[], gap = " "): string {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  return cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(gap).trimEnd() + "\n")
    .join("");
}
