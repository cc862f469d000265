/** Readers of the values in a YAML spec, and the refusal of a value with its file, document and line. */
import { isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from "yaml";
import { closest } from "../../common/closest.ts";
import { Refusal } from "../../common/refusal.ts";

/** A node of a YAML file, with its place for messages. */
export interface Value {
  readonly node: unknown;
  /** Its path in the document, like `list[2].mac`; empty for the document itself. */
  readonly field: string;
  readonly place: SpecPosition;
}

/** The position of a document. */
export interface SpecPosition {
  readonly file: string;
  /** The document's number in the file, from 1. */
  readonly document: number;
  readonly lines: LineCounter;
  /** The position at which the document begins, for values without a node. */
  readonly start: number;
}

/** Reads a value, or throws a Refusal that names file, document, line and field. */
export type ValueReader<T> = (value: Value) => T;

/** The refusal of a value. */
export function refused({ node, place }: Value, message: string): Refusal {
  const offset = (node as Pick<Node, "range"> | null | undefined)?.range?.[0] ?? place.start;
  const { line } = place.lines.linePos(offset);
  return new Refusal("invalid", `${place.file}: document ${place.document}, line ${line}: ${message}`);
}

/** Runs `check`, and adds the value's place to its refusal. */
export function within<T>(value: Value, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof Refusal ? refused(value, error.message) : error;
  }
}

/** A scalar as it is written: `007` and `12:34:56:12:34:56` stay what they are. */
export const text: ValueReader<string> = (value) => {
  const { node, field } = value;
  // Expanding aliases would make a huge file of a small one, and specs need none.
  if (isAlias(node)) throw refused(value, `${field}: *${node.source} is an alias; write the value itself`);
  if (!isScalar(node) || typeof node.value !== "string") throw refused(value, `${field}: not a single value`);
  return node.value;
};

/** A text that `check` accepts, in the form that it returns. */
export function checked(check: (text: string, field: string) => string): ValueReader<string> {
  return (value) => {
    const given = text(value);
    return within(value, () => check(given, value.field));
  };
}

/** A whole number from 0. */
export const wholeNumber: ValueReader<number> = (value) => {
  const given = text(value);
  if (!/^\d{1,15}$/.test(given)) throw refused(value, `${value.field}: "${given}" is not a whole number`);
  return Number(given);
};

/** true or false. */
export const flag: ValueReader<boolean> = (value) => {
  const given = text(value);
  if (given !== "true" && given !== "false") {
    throw refused(value, `${value.field}: "${given}" is not true or false`);
  }
  return given === "true";
};

/** A list of what `item` reads. */
export function list<T>(item: ValueReader<T>): ValueReader<T[]> {
  return (value) => {
    const { node, field, place } = value;
    if (isAlias(node)) text(value);
    if (!isSeq(node)) throw refused(value, `${field}: not a list, like [a, b]`);
    return node.items.map((node, i) => item({ node, field: `${field}[${i}]`, place }));
  };
}

/** The result of a mapping with these readers; a key that is missing or has no value is absent. */
export type Mapped<Readers> = {
  [Key in keyof Readers]?: Readers[Key] extends ValueReader<infer T> ? T : never;
};

/**
 * A mapping with these keys and no others; the keys in `required` must be there and not empty.
 *
 * @param spellings Other spellings of keys, and the keys that they stand for.
 */
export function mapping<Readers extends Record<string, ValueReader<unknown>>>(
  readers: Readers,
  required: readonly (keyof Readers & string)[] = [],
  spellings: Readonly<Record<string, keyof Readers & string>> = {},
): ValueReader<Mapped<Readers>> {
  const known = Object.keys(readers);
  return (value) => {
    const { node, field, place } = value;
    const prefix = field && `${field}.`;
    if (isAlias(node)) text(value);
    if (!isMap(node)) throw refused(value, `${field}: not a mapping with the keys ${known.join(", ")}`);
    const read: Record<string, unknown> = {}, spelt = new Map<string, string>();
    for (const { key, value: inner } of node.items) {
      const written = isScalar(key) ? String(key.value) : "";
      const name = Object.hasOwn(spellings, written) ? spellings[written] ?? written : written;
      const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
      if (!reader) throw refused({ ...value, node: key }, unknownKey(prefix + name, name, known));
      const before = spelt.get(name);
      if (before) {
        const as = before === written ? "" : `, as ${before}`;
        throw refused({ ...value, node: key }, `${prefix + written}: is there already${as}`);
      }
      spelt.set(name, written);
      if (!isEmpty(inner)) read[name] = reader({ node: inner, field: prefix + written, place });
    }
    for (const name of required) {
      if (read[name] === undefined) throw refused(value, `${prefix}${name}: missing`);
    }
    return read as Mapped<Readers>;
  };
}

/** The value under a path of keys and indices: the deepest that is there. */
export function at(value: Value, ...path: (string | number)[]): Value {
  let node = value.node;
  for (const step of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === step) : undefined;
    const next = pair ? pair.value ?? pair.key : isSeq(node) ? node.items[Number(step)] : undefined;
    if (!next) break;
    node = next;
  }
  return { ...value, node };
}

/** True for a missing value. */
export function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && (node.value === null || node.source === ""));
}

function unknownKey(field: string, name: string, known: readonly string[]): string {
  if (name === "members" && known.includes("list")) {
    return `${field}: unknown key; did you mean list? Nex ignores members:, with all that is in it`;
  }
  const meant = closest(name.toLowerCase(), known);
  const hint = meant ? `did you mean ${meant}?` : `the keys are ${known.join(", ")}`;
  return `${field}: unknown key; ${hint}`;
}
