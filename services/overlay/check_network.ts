/** Validates a user's request for a new network. */
import { Cidr, Ip } from "../common/ip.ts";
import { invalid } from "../common/refusal.ts";
import { unusableRange } from "./ranges.ts";

/** The fields of a request for a new network; all are optional. */
export interface NetworkRequest {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly type?: string | undefined;
  readonly ip_range?: string | undefined;
  /** With or without the range's prefix length. */
  readonly gateway?: string | undefined;
}

const V4_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * The limits of a range's prefix length: the bit set of a wider one exceeds etcd's request size, and a narrower one
 * has no address for an endpoint.
 */
const WIDEST = 10, NARROWEST = 30;

/**
 * Returns a request with defaults, after checking every field.
 *
 * @param newId The id, when the request has none.
 * @throws Refusal "invalid" that names field, value and what would be right
 */
export function checkNetwork(request: NetworkRequest, newId: string) {
  // Go's clients send unset fields as empty text.
  const id = (request.id || newId).toLowerCase();
  if (!V4_UUID.test(id)) {
    throw invalid(`id: "${request.id}" is not a v4 UUID, like 320a669f-e465-4806-ab46-f2e6620c4311`);
  }
  if (request.type && request.type !== "overlay") {
    throw invalid(`type: "${request.type}" is not a type of network: only overlay is`);
  }
  const name = request.name || `net-sc-${id}`;
  if (name.length > 255 || /\p{Cc}/u.test(name)) {
    throw invalid(
      `name: "${name.slice(0, 40)}" is not a network's name: at most 255 characters, no control characters`,
    );
  }
  const range = checkRange(request.ip_range || "10.0.0.0/24");
  const gateway = request.gateway ? checkGateway(request.gateway, range) : range.first.plus(1);
  return { id, name, type: "overlay", ip_range: range.toString(), gateway: `${gateway}/${range.prefix}` };
}

function checkRange(text: string): Cidr {
  const range = Cidr.tryParse(text);
  if (range?.family !== 4) throw invalid(`ip_range: "${text}" is not an IPv4 range, like 10.0.0.0/24`);
  if (range.prefix < WIDEST) {
    throw invalid(
      `ip_range: ${range} is wider than a /${WIDEST}, which is the widest that etcd can hold the addresses of`,
    );
  }
  if (range.prefix > NARROWEST) {
    throw invalid(
      `ip_range: ${range} has no room for an endpoint: a /${NARROWEST} is the narrowest that has`,
    );
  }
  if (!range.address.equals(range.first)) {
    throw invalid(`ip_range: ${range} has host bits set: did you mean ${range.first}/${range.prefix}?`);
  }
  const unusable = unusableRange(range);
  if (unusable !== undefined) {
    throw invalid(`ip_range: ${range}: ${unusable}; take a range like 10.0.0.0/24`);
  }
  return range;
}

function checkGateway(text: string, range: Cidr): Ip {
  const cidr = Cidr.tryParse(text.includes("/") ? text : `${text}/${range.prefix}`);
  const right = `${range.first.plus(1)}/${range.prefix}`;
  if (cidr?.family !== 4) {
    throw invalid(`gateway: "${text}" is not an IPv4 address in CIDR form, like ${right}`);
  }
  if (cidr.prefix !== range.prefix) {
    throw invalid(`gateway: ${cidr} has another prefix length than the range ${range}`);
  }
  if (!range.contains(cidr.address)) throw invalid(`gateway: ${cidr.address} is outside the range ${range}`);
  if (range.reserved(cidr.address)) {
    throw invalid(
      `gateway: ${cidr.address} is the network or broadcast address of ${range}, not one like ${right}`,
    );
  }
  return cidr.address;
}
