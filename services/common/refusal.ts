/** The error by which a request is refused, with a code that each transport maps to its own, and helpers for its sentence. */

/** Why a request was refused; each transport maps it to its own status code. */
export type RefusalCode =
  | "invalid" // the request itself is wrong: a field and its value are named
  | "not-found"
  | "exists" // something else already has this id, name or address
  | "forbidden" // right in itself, but what lives in the store rules it out
  | "exhausted" // nothing left to hand out
  | "conflict" // lost the race too often; trying again is right
  | "unavailable"; // the store cannot be reached or its answer is unknown

/** The most characters of a quoted value and of a whole sentence. */
const VALUE = 80, SENTENCE = 1000;

/** An error for the caller of a request: one sentence that names field, value and what would be right. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(readonly code: RefusalCode, message: string, options?: ErrorOptions) {
    super(fit(message), options);
  }
}

/**
 * Limits a message: text from outside may be long and hold any character, so its beginning is kept, escaped, on one
 * line.
 */
function fit(message: string): string {
  const cut = message.replace(new RegExp(`"([^"]{${VALUE}})[^"]+"`, "g"), '"$1…"');
  const sentence = cut.length > SENTENCE
    ? `${cut.slice(0, SENTENCE * 0.6)}…${cut.slice(-SENTENCE * 0.3)}`
    : cut;
  return printable(sentence);
}

/** Control characters, line separators, and characters that change the direction of text. */
const DRAWING = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** Escapes such characters, so that a text can neither break a line nor control a terminal. */
export function printable(text: string): string {
  return text.replace(DRAWING, (c) => {
    const code = c.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
  });
}

/** Shorthand for the most frequent refusal. */
export function invalid(message: string): Refusal {
  return new Refusal("invalid", message);
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The reason of a failed system call in the system's words, like "No such file or directory". */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/ \(os error \d+\).*$/s, "");
}
