/** Parses a stored JSON value by its schema. */
import { printable } from "../common/refusal.ts";
import type { z } from "zod";

/**
 * A stored JSON text as its schema has it. Throws Error with the first thing that is wrong with it.
 * @param quick Is tried first: reads most values faster, exactly as `schema` does, and refuses the others.
 */
export function readRecord<T>(schema: z.ZodType<T>, text: string, quick?: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(`not JSON: ${printable(text.length > 60 ? text.slice(0, 60) + "…" : text)}`);
  }
  const read = quick?.safeParse(json);
  if (read?.success) return read.data;
  const result = schema.safeParse(json, { reportInput: true });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const value = issue?.input === undefined || typeof issue.input === "object"
    ? ""
    : ` (${shown(issue.input)})`;
  throw new Error(`${issue?.path.join(".") || "value"}: ${issue?.message ?? "not as expected"}${value}`);
}

/** The value as JSON, which escapes control characters: another host has written it, and it goes to the log. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? text.slice(0, 60) + "…" : text;
}
