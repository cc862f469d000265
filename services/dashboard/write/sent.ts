/** Parses the body of a request for a change: fields of a form, of a JSON object, or a YAML text with the fields in the query. */
import { HttpError } from "../../common/http/answers.ts";
import { invalid } from "../../common/refusal.ts";

/** A change as it came. */
export interface SubmittedChange {
  /** The type of its content. */
  readonly type: string;
  readonly body: Uint8Array;
  /** The client that asks for it, for the log. */
  readonly by: string;
}

/** The field that a YAML body is. */
const TEXT = "spec";

/**
 * The fields of a change by their names; one that is empty is left out.
 *
 * @param known The names that there are.
 * @throws Refusal "invalid" for one that is not known or is there twice, HttpError 415 for content of another type
 */
export function fieldsOf(
  { type, body }: SubmittedChange,
  query: URLSearchParams,
  known: readonly string[],
): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  const add = (name: string, value: string) => {
    if (!known.includes(name)) throw invalid(`there is no field "${name}"; known are ${known.join(", ")}`);
    if (fields.has(name)) throw invalid(`${name}: is there twice`);
    fields.set(name, value);
  };
  for (const [name, value] of query) add(name, value);
  for (const [name, value] of contentOf(type, body)) add(name, value);
  return new Map([...fields].filter(([, value]) => value !== ""));
}

/** A field that is a box of a form, or true or false. */
export function flagOf(fields: ReadonlyMap<string, string>, name: string): boolean {
  const value = fields.get(name) ?? "false";
  if (value !== "true" && value !== "false") throw invalid(`${name}: "${value}" is not true or false`);
  return value === "true";
}

function contentOf(type: string, body: Uint8Array): Iterable<[string, string]> {
  if (!body.length) return [];
  const text = textOf(body);
  // Forms have CRLF at the end of each line.
  if (type === "application/x-www-form-urlencoded") {
    return [...new URLSearchParams(text)].map(([name, value]) => [name, value.replaceAll("\r\n", "\n")]);
  }
  if (type === "application/yaml" || type === "application/x-yaml" || type === "text/yaml") {
    return [[TEXT, text]];
  }
  if (type === "application/json") return ofJson(text);
  throw new HttpError(
    415,
    `Content-Type: "${type}" is not taken; it is application/yaml, application/json or application/x-www-form-urlencoded`,
  );
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw invalid("the body is not UTF-8");
  }
}

function ofJson(text: string): [string, string][] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`the body is no JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`the body is no JSON object with fields, like {"${TEXT}": "kind: Network…"}`);
  }
  return Object.entries(value).map(([name, value]) => {
    if (typeof value !== "string" && typeof value !== "boolean") {
      throw invalid(`${name}: needs a text, or true or false`);
    }
    return [name, String(value)];
  });
}
