/** Readers of the values in a YAML spec, and the refusal of a value with its file, document and line. */
import { isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from "yaml";
import { closest } from "../../common/closest.ts";
import { Refusal, type RefusalCode } from "../../common/refusal.ts";
import { fieldIn } from "../../common/refusals.ts";

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
  /** Its place among the files. */
  readonly fileNumber: number;
  /** The document's number in the file, from 1. */
  readonly document: number;
  readonly lines: LineCounter;
  /** The position at which the document begins, for values without a node. */
  readonly start: number;
  /** The refusals in the document so far, noted by {@link gather}. */
  readonly refusals: PlacedRefusal[];
}

/** The refusal of a value of a file. Its message has the place too. */
export class PlacedRefusal extends Refusal {
  /**
   * @param field Its path in the document, like `list[2].mac`; empty: none is known.
   * @param reason The sentence without the place.
   */
  constructor(
    readonly place: Pick<SpecPosition, "file" | "fileNumber" | "document"> & { readonly line: number },
    readonly field: string,
    readonly reason: string,
    code: RefusalCode = "invalid",
  ) {
    super(code, `${place.file}: document ${place.document}, line ${place.line}: ${reason}`);
  }
}

/** A refusal as JSON has it: with its place, where it has one. */
export function refusalJson(refusal: Refusal) {
  if (!(refusal instanceof PlacedRefusal)) return { reason: refusal.message };
  const { place: { file, document, line }, field, reason } = refusal;
  return { file, document, line, field, reason };
}

/** In the order of files and lines; what has no place comes first. */
export function inFileOrder(refusals: readonly Refusal[]): Refusal[] {
  const orderOf = (refusal: Refusal) => {
    const { fileNumber = -1, line = 0 } = refusal instanceof PlacedRefusal ? refusal.place : {};
    return { fileNumber, line };
  };
  return refusals.map((refusal) => ({ refusal, ...orderOf(refusal) }))
    .sort((a, b) => a.fileNumber - b.fileNumber || a.line - b.line)
    .map(({ refusal }) => refusal);
}

/**
 * Reads a value, or throws a {@link PlacedRefusal}. A list or a mapping leaves out what is refused in it, and notes why: the rest
 * is read too.
 */
export type ValueReader<T> = (value: Value) => T;

/**
 * The refusal of a value.
 * @param about Its path, where it is not the value's own; undefined: the message may begin with it.
 */
export function refused(
  { node, field, place }: Value,
  message: string,
  { code, about }: { readonly code?: RefusalCode; readonly about?: string } = {},
): PlacedRefusal {
  const offset = (node as Pick<Node, "range"> | null | undefined)?.range?.[0] ?? place.start;
  const { line } = place.lines.linePos(offset), named = fieldIn(message) ?? "";
  const { file, fileNumber, document } = place, path = about ?? (field.startsWith(named) ? field : named);
  return new PlacedRefusal({ file, fileNumber, document, line }, path, message, code);
}

/** Returns what `read` returns, or notes its refusal and returns undefined. */
export function gather<T>({ place }: Value, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PlacedRefusal)) throw error;
    place.refusals.push(error);
    return undefined;
  }
}

const places = new WeakMap<object, Value>(), wrong = new WeakSet<object>();

/** Notes where an object was read. */
export function placed<T extends object>(value: Value, read: T): T {
  places.set(read, value);
  return read;
}

/** Notes that a part of an object is refused. */
export function markWrong(read: object): void {
  wrong.add(read);
}

/** True for an object of which {@link markWrong} has noted that a part is refused. */
export function isWrong(read: object): boolean {
  return wrong.has(read);
}

/** Returns the place where an object was read; undefined for one that is from no file. */
export function placeOf(read: object): Value | undefined {
  return places.get(read);
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
    return node.items.flatMap((node, i) => {
      const inner = { node, field: `${field}[${i}]`, place };
      const before = place.refusals.length, read = gather(inner, () => item(inner));
      if (typeof read === "object" && read && place.refusals.length > before) markWrong(read);
      return read === undefined ? [] : [read];
    });
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
    const refusedKeys = new Set<string>();
    for (const { key, value: inner } of node.items) {
      const written = isScalar(key) ? String(key.value) : "";
      const name = Object.hasOwn(spellings, written) ? spellings[written] ?? written : written;
      gather(value, () => {
        const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
        if (!reader) throw refused({ ...value, node: key }, unknownKey(prefix + name, name, known));
        const before = spelt.get(name);
        if (before) {
          const as = before === written ? "" : `, as ${before}`;
          throw refused({ ...value, node: key }, `${prefix + written}: is there already${as}`);
        }
        spelt.set(name, written);
        if (isEmpty(inner)) return;
        refusedKeys.add(name);
        read[name] = reader({ node: inner, field: prefix + written, place });
        refusedKeys.delete(name);
      });
    }
    for (const name of required) {
      if (read[name] !== undefined || refusedKeys.has(name)) continue;
      gather(value, () => {
        throw refused(value, `${prefix}${name}: missing`);
      });
    }
    return placed(value, read as Mapped<Readers>);
  };
}

/** The value under a path of keys and indices: the deepest that is there. */
export function at(value: Value, ...path: (string | number)[]): Value {
  let { node, field } = value;
  for (const step of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === step) : undefined;
    const next = pair ? pair.value ?? pair.key : isSeq(node) ? node.items[Number(step)] : undefined;
    if (!next) break;
    field = typeof step === "number" ? `${field}[${step}]` : field ? `${field}.${step}` : step;
    node = next;
  }
  return { ...value, node, field };
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
