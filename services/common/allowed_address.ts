/**
 * Reads an address that an endpoint may use beside its own, as command lines and configurations write it: ADDRESS or ADDRESS,MAC.
 */
import { Ip } from "./ip.ts";
import { tryParseMac } from "./mac.ts";

/** An address, and a MAC that may be used for it. */
export interface AllowedText {
  readonly address: string;
  readonly mac?: string;
}

/** @param wrong Makes the error that is thrown, of a sentence about the text. */
export function parseAllowed(text: string, wrong: (what: string) => Error): AllowedText {
  const [ip = "", mac, ...more] = text.split(","), address = Ip.tryParse(ip);
  if (address?.family !== 4 || more.length) {
    throw wrong(
      `"${text}" is not an IPv4 address, perhaps with a MAC behind a comma: 10.0.0.9,00:00:5e:00:01:09`,
    );
  }
  if (mac === undefined) return { address: `${address}` };
  const read = tryParseMac(mac);
  if (read === undefined) throw wrong(`"${mac}" is not a MAC address, like 00:00:5e:00:01:09`);
  return { address: `${address}`, mac: read };
}
