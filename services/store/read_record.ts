import type { z } from "zod";

/** A stored JSON text as its schema has it. Throws Error with the first thing that is wrong with it. */
export function readRecord<T>(schema: z.ZodType<T>, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(`not JSON: ${text.length > 60 ? text.slice(0, 60) + "…" : text}`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Error(`${issue?.path.join(".") || "value"}: ${issue?.message ?? "not as expected"}`);
}
