/** DHCP options by number: the type of each one's value, and the encoding of a value that a network sets. */
import { invalid, type Refusal } from "../common/refusal.ts";
import { encodings, hex, type OptionType } from "./dhcp_values.ts";

/** The most bytes of one option's value, which RFC 3396 splits over 255: a few longer ones would fill any packet. */
const MAX_LENGTH = 1024;

/** Option numbers by the type of their value: RFC 2132 and, where named, later ones. */
const numbers: Partial<Record<OptionType, readonly number[]>> = {
  address: [1, 16, 28, 32, 118],
  addresses: [3, 4, 5, 6, 7, 8, 9, 10, 11, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 72, 73, 74, 75, 76]
    .concat([85, 89, 112, 136, 138, 150]), // RFC 2241, 4280, 5192, 5417, 5859
  "address pairs": [21, 33],
  text: [12, 14, 15, 17, 18, 40, 47, 60, 62, 64, 66, 67]
    .concat([86, 87, 98, 100, 101, 113, 114, 209, 210, 252]), // RFC 2241, 2485, 4833, 8910, 5071; WPAD
  flag: [19, 20, 27, 29, 30, 31, 34, 36, 39],
  u8: [23, 37, 46, 116],
  u16: [13, 22, 26],
  "u16 list": [25, 117],
  u32: [24, 35, 38, 108, 211], // RFC 8925, 5071
  i32: [2],
  domains: [88, 119, 137, 141], // RFC 4280, 3397, 5223, 6011
  routes: [121, 249], // RFC 3442, and the number that Windows used before it
  bytes: [43, 77, 78, 79, 90, 93, 94, 97, 120, 124, 125, 162, 208, 212],
};

const types = new Map<number, OptionType>(
  (Object.keys(numbers) as OptionType[]).flatMap((type) =>
    (numbers[type] ?? []).map((number): [number, OptionType] => [number, type])
  ),
);

/** Options that no network can set, with the reason: the server or the client fills them in. */
const serversOwn: Record<number, string> = {
  0: "is padding",
  50: "is the client's",
  51: "is the lease's length: set the network's lease_duration",
  52: "is set by the server where a packet needs it",
  53: "is the message's type",
  54: "is the server's address: set the network's dhcp4server",
  55: "is the client's",
  56: "is the server's",
  57: "is the client's",
  58: "follows from the network's lease_duration",
  59: "follows from the network's lease_duration",
  61: "is the client's",
  80: "is the client's",
  81: "is answered from the member's name",
  82: "is the relay's",
  255: "ends the options",
};

/**
 * The payload of a DHCP option, encoded by its RFC 2132 type: `0x…` are the bytes themselves, and a number
 * without a known type is text. Throws a Refusal that names number and value.
 */
export function encodeOption(number: number, value: string): Uint8Array {
  if (!Number.isInteger(number) || number < 0 || number > 255) {
    throw invalid(`options: number ${number} (value "${value}") is no DHCP option, which are from 1 to 254`);
  }
  const own = serversOwn[number];
  if (own) throw invalid(`options: number ${number} (value "${value}") cannot be set: it ${own}`);
  const text = value.trim();
  const type = types.get(number) ?? "text";
  const bytes = /^0x/i.test(text) ? hex(text) : encodings[type].encode(text);
  const wanted = /^0x/i.test(text) ? encodings.bytes.wanted : encodings[type].wanted;
  if (!bytes) throw invalid(`options: number ${number} has value "${value}" but takes ${wanted}`);
  if (bytes.length > MAX_LENGTH) {
    const start = `${value.slice(0, 40)}…`;
    throw invalid(
      `options: number ${number} has value "${start}" of ${bytes.length} bytes, over ${MAX_LENGTH}`,
    );
  }
  return bytes;
}

/** Refuses an option that {@link encodeOption} could not encode. */
export function checkOption(number: number, value: string): void {
  encodeOption(number, value);
}

/** The options whose number another before them has. */
export function repeatedOptions<T extends { readonly number: number }>(options: readonly T[] = []): T[] {
  const seen = new Set<number>();
  return options.filter(({ number }) => seen.size === seen.add(number).size);
}

/** Why one of {@link repeatedOptions} is refused. */
export function repeated({ number }: { readonly number: number }): Refusal {
  return invalid(`options: number ${number} is there twice; an option is given once, with all of its values`);
}
