/** Encodes the DHCP options that a network gives its clients, once for all of them. */
import { bytesOf32 } from "../common/bytes.ts";
import type { Ip } from "../common/ip.ts";
import { messageOf } from "../common/refusal.ts";
import { encodeOption } from "../nex/dhcp_options.ts";
import { domains } from "../nex/dhcp_values.ts";
import type { Network } from "../nex/network.ts";
import { Opt } from "./numbers.ts";

/** A network's options, encoded once and used for each of its packets. */
export interface EncodedOptions {
  /** Payload by option number; sparse. */
  readonly values: readonly (Uint8Array | undefined)[];
  /** The options that a client without a parameter request list gets, in this order. */
  readonly defaults: readonly number[];
  /** Why stored options were left out: a sentence each. */
  readonly bad: readonly string[];
}

const cache = new WeakMap<Network, EncodedOptions>();

/** The options of a network. A network that is changed is another object, so that the cache never holds old options. */
export function networkOptions(network: Network): EncodedOptions {
  let options = cache.get(network);
  if (!options) cache.set(network, options = encodeNetwork(network));
  return options;
}

/**
 * Sent only to a client whose parameter list names it: IPv6-Only Preferred (RFC 8925 §3.3), Auto-Configure (RFC 2563),
 * Subnet Selection (RFC 3011), Port Parameters (RFC 7618).
 */
const onlyRequested: ReadonlySet<number> = new Set([108, 116, 118, 159]);

/** The network's own fields as options, then its `options`, which override them. */
function encodeNetwork(network: Network): EncodedOptions {
  const values: (Uint8Array | undefined)[] = [];
  const { subnet4, domain } = network;
  const mask = subnet4 && (0xffffffff << (32 - subnet4.prefix)) >>> 0;
  // In JavaScript a shift by 32 is a shift by 0.
  if (subnet4 && mask !== undefined) values[Opt.subnetMask] = bytesOf32(subnet4.prefix ? mask : 0);
  if (subnet4) values[Opt.broadcastAddress] = subnet4.last.bytes;
  values[Opt.router] = addresses(network.gateways);
  values[Opt.nameServer] = addresses(network.nameservers);
  if (domain) values[Opt.domainName] = new TextEncoder().encode(domain);
  if (domain) values[Opt.domainSearch] = domains([domain]);
  const defaults = [Opt.subnetMask, Opt.router, Opt.nameServer, Opt.domainName]
    .filter((number) => values[number]) as number[];

  const bad = network.repeatedOptions.map((number) =>
    `network ${network.name}: options: number ${number} is there twice, and its last value counts`
  );
  for (const { number, value } of network.record.options ?? []) {
    try {
      values[number] = encodeOption(number, value);
      if (!defaults.includes(number) && !onlyRequested.has(number)) defaults.push(number);
    } catch (error) {
      // A store that was taken over may hold any value; the other options are still served.
      bad.push(`network ${network.name}: ${messageOf(error)}`);
    }
  }
  return { values, defaults, bad };
}

function addresses(ips: readonly Ip[]): Uint8Array | undefined {
  const bytes = ips.filter((ip) => ip.family === 4).flatMap((ip) => [...ip.bytes]);
  return bytes.length ? Uint8Array.from(bytes) : undefined;
}
