/** Finds the DHCP options that would leave a network's machines without a way: another mask, or a router outside the subnet. */
import { Cidr, Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { NexNetworkRecord } from "../store/records.ts";
import { encodeOption } from "./dhcp_options.ts";

/** The numbers of the subnet mask and of the routers (RFC 2132 §3.3, §3.5). */
const MASK = 1, ROUTERS = 3;

/** A sentence for each such option of a network that is otherwise right, without the network's name. */
export function strandingOptions({ subnet4, options = [] }: NexNetworkRecord): string[] {
  const subnet = subnet4 ? Cidr.tryParse(subnet4) : undefined;
  if (!subnet) return [];
  return options.flatMap(({ number, value }) => {
    const wrong = number === MASK ? wrongMask : number === ROUTERS ? farRouter : undefined;
    const octets = wrong && octetsOf(number, value), what = octets && wrong(octets, subnet);
    return what === undefined ? [] : [`options: number ${number} (value "${value}"): ${what}`];
  });
}

function wrongMask(octets: Uint8Array, { prefix }: Cidr): string | undefined {
  const mask = Ip.from4(prefix ? (0xffffffff << (32 - prefix)) >>> 0 : 0), [given] = addressesIn(octets);
  return given?.equals(mask) ? undefined : `the mask of the subnet is ${mask}`;
}

function farRouter(octets: Uint8Array, subnet: Cidr): string | undefined {
  const far = addressesIn(octets).find((router) => !subnet.contains(router));
  return far && `the router ${far} is outside the subnet ${subnet}`;
}

/** Undefined for a value that is no such option's: another check says so. */
function octetsOf(number: number, value: string): Uint8Array | undefined {
  try {
    return encodeOption(number, value);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

function addressesIn(octets: Uint8Array): Ip[] {
  const { buffer, byteOffset, length } = octets, view = new DataView(buffer, byteOffset, length);
  return Array.from({ length: Math.floor(length / 4) }, (_, i) => Ip.from4(view.getUint32(4 * i)));
}
