/** Why a request was refused; each transport maps it to its own status code. */
export type RefusalCode =
  | "invalid" // the request itself is wrong: a field and its value are named
  | "not-found"
  | "exists" // something else already has this id, name or address
  | "forbidden" // right in itself, but what lives in the store rules it out
  | "exhausted" // nothing left to hand out
  | "conflict" // lost the race too often; trying again is right
  | "unavailable"; // the store cannot be reached or its answer is unknown

/** An error meant for the person who asked: one sentence that names field, value and what would be right. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(readonly code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Shorthand for the most frequent refusal. */
export function invalid(message: string): Refusal {
  return new Refusal("invalid", message);
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a system call failed, in the system's own words: "No such file or directory". */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/ \(os error \d+\).*$/s, "");
}
