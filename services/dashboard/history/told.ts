/** An event in the life of a machine, as a change of a record in etcd tells it. */

/** Kinds of events, by which they are put together. */
export type What = "came" | "left" | "moved" | "renewed" | "changed" | "reserved" | "address";

/** An event in the life of a machine. */
export interface Told {
  readonly what: What;
  /** Of a network for machines of a LAN its name, of an overlay network its id; empty: its record does not say. */
  readonly network: string;
  /** Its MAC; of an endpoint without one its id; an address where only that is known. */
  readonly machine: string;
  /** All that it can be found by, in lower case: MACs, addresses, names and the endpoint's id, before and after. */
  readonly about: readonly string[];
  readonly text: string;
  /** Of an endpoint that came or left: its host. */
  readonly host?: string;
  /** The service that wrote it, where that follows from the record. */
  readonly by?: string;
  /** When it happened by the record itself, in ms since the epoch. */
  readonly time?: number;
}

/** The longest text of an event, the longest identifier, and how many there are: another program may have written the record. */
const LONGEST_TEXT = 400, LONGEST_ID = 253, MOST_IDS = 16;

/** An event with what it can be found by. */
export function told(
  { about, text, ...rest }: Omit<Told, "about"> & { readonly about: readonly (string | undefined)[] },
): Told {
  const ids = new Set<string>();
  for (const id of about) {
    if (id && id.length <= LONGEST_ID && ids.size < MOST_IDS) ids.add(id.toLowerCase());
  }
  return {
    ...rest,
    about: [...ids],
    text: text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text,
  };
}

/** A field of a record, as a person reads it. */
export type Field<R> = readonly [name: string, of: (record: R) => string | undefined];

/** The differences between two records, like `name web → api`. */
export function differences<R>(fields: readonly Field<R>[], before: R, after: R): string[] {
  return fields.flatMap(([name, of]) => {
    const was = of(before) || "none", is = of(after) || "none";
    return was === is ? [] : `${name} ${was} → ${is}`;
  });
}

/** The fields of a record that has them, like `name web, address 10.0.0.2`. */
export function summary<R>(fields: readonly Field<R>[], record: R): string {
  return fields.flatMap(([name, of]) => {
    const is = of(record);
    return is ? `${name} ${is}` : [];
  }).join(", ");
}

/** A time in seconds since the epoch, in RFC 3339. */
export function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** The ms since the epoch of a time in RFC 3339, also with nanoseconds; undefined for any other text. */
export function msOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isFinite(ms) ? ms : undefined;
}
