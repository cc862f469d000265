/** What must hold of a store after any operation; shares no code with what it checks. */
import type { Records } from "./etcd_kv.ts";
import type { ApiEndpoint, ApiNetwork } from "./overlay_api.ts";
import { addressOf, read } from "./overlay_reference.ts";

/** What contradicts itself in the store, a line each. @param ports NETWORK/HOST where a host has a device that is a port of a network. */
export function storeFaults(records: Records, ports: readonly string[] = []): string[] {
  const faults: string[] = [];
  const networks = new Map(read<ApiNetwork>(records, "/sc-net/network/").map((n) => [n.id, n]));
  const endpoints = read<ApiEndpoint>(records, "/sc-net/network-endpoints/");
  faults.push(...twins(records));
  faults.push(...twice("VNI", [...networks.values()].map(({ vxlan_vni }) => `${vxlan_vni}`)));
  for (const network of networks.values()) {
    const its = endpoints.filter(({ network_id }) => network_id === network.id);
    const of = `network ${network.name} (${network.id})`;
    faults.push(...twice(`${of}: address`, its.map(addressOf)));
    faults.push(...twice(`${of}: MAC`, its.map((e) => e.target_veth_mac)));
    faults.push(...claims(records, network, its).map((line) => `${of}: ${line}`));
  }
  const hosts = new Set([
    ...endpoints.map(({ network_id, hostname }) => `${network_id}/${hostname}`),
    ...ports,
  ]);
  faults.push(...presence(records, hosts));
  for (const { id, network_id } of endpoints) {
    if (!networks.has(network_id)) {
      faults.push(`endpoint ${id} is in network ${network_id}, which is not there`);
    }
  }
  for (const key of records.keys()) {
    const id = /^\/sc-net\/(?:ipalloc|strand\/deleted|strand\/cursor)\/(.+)$/.exec(key)?.[1];
    if (id && !networks.has(id)) faults.push(`${key} is there without its network`);
    if (key.startsWith("/sc-net/strand/deleted/")) faults.push(`${key}: a deletion that does not end`);
  }
  return faults;
}

/** Each endpoint is there under its two keys with the same value. */
function twins(records: Records): string[] {
  const faults: string[] = [];
  for (const [key, value] of records) {
    const kind = /^\/sc-net\/(node|network)-endpoints\/([^/]+)\/(.+)$/.exec(key);
    if (!kind) continue;
    const endpoint = JSON.parse(value) as ApiEndpoint;
    const [, by, owner, id] = kind;
    if (endpoint.id !== id || owner !== (by === "node" ? endpoint.hostname : endpoint.network_id)) {
      faults.push(`${key} holds ${value}`);
    }
    const other = by === "node"
      ? `/sc-net/network-endpoints/${endpoint.network_id}/${id}`
      : `/sc-net/node-endpoints/${endpoint.hostname}/${id}`;
    if (records.get(other) !== value) faults.push(`${key} and ${other} are not the same`);
  }
  return faults;
}

/** A network is set up on exactly the hosts that have an endpoint of it, and told so by each. */
function presence(records: Records, hosts: ReadonlySet<string>): string[] {
  const faults: string[] = [], told = new Set<string>();
  for (const key of records.keys()) {
    const [, host, network] = /^\/sc-net\/nodes\/([^/]+)\/networks\/([^/]+)$/.exec(key) ?? [];
    const pair = host
      ? `${network}/${host}`
      : /^\/sc-net\/(?:nodes-networks|strand\/applied)\/(.+)$/.exec(key)?.[1];
    if (!pair) continue;
    told.add(key);
    if (!hosts.has(pair)) faults.push(`${key} is there without an endpoint`);
  }
  for (const pair of hosts) {
    const [network, host] = pair.split("/");
    for (
      const key of [`/sc-net/nodes/${host}/networks/${network}`, `/sc-net/nodes-networks/${network}/${host}`]
    ) {
      if (!told.has(key)) faults.push(`${key} is missing`);
    }
  }
  return faults;
}

/** Taken are the network's, the gateway's, the endpoints', the reservations' and the broadcast address, and no other. */
function claims(records: Records, network: ApiNetwork, endpoints: readonly ApiEndpoint[]): string[] {
  const text = records.get(`/sc-net/ipalloc/${network.id}`);
  if (text === undefined) return ["no /sc-net/ipalloc/ record"];
  const [base = "", prefix = ""] = network.ip_range.split("/");
  const size = 2 ** (32 - Number(prefix));
  const first = number(base);
  const wanted = new Set([0, size - 1, number(network.gateway.split("/")[0] ?? "") - first]);
  for (const endpoint of endpoints) wanted.add(number(addressOf(endpoint)) - first);
  for (const { ip4 } of read<{ ip4?: string }>(records, `/sc-net/strand/net/${network.id}/member/`)) {
    if (ip4 !== undefined) wanted.add(number(ip4) - first);
  }
  const { length, set } = decodeBits((JSON.parse(text) as { bit_set: string }).bit_set);
  const faults = length === size ? [] : [`bit_set has ${length} bits, not ${size}`];
  for (const bit of set) if (!wanted.delete(bit)) faults.push(`bit ${bit} is set without an endpoint`);
  for (const bit of wanted) faults.push(`bit ${bit} is not set`);
  return faults;
}

/** base64url of the length and then the words, 8 bytes big-endian each; bit i is in word i/64 at position i%64. */
export function decodeBits(text: string): { length: number; set: number[] } {
  const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  const view = new DataView(bytes.buffer);
  const set: number[] = [];
  for (let word = 0; 8 + 8 * word < bytes.length; word++) {
    const value = view.getBigUint64(8 + 8 * word);
    for (let bit = 0; bit < 64; bit++) if (value >> BigInt(bit) & 1n) set.push(64 * word + bit);
  }
  return { length: Number(view.getBigUint64(0)), set };
}

/** The reverse of {@link decodeBits}. */
export function encodeBits(length: number, set: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(8 + 8 * Math.ceil(length / 64)));
  view.setBigUint64(0, BigInt(length));
  for (const bit of set) {
    const at = 8 + 8 * Math.floor(bit / 64);
    view.setBigUint64(at, view.getBigUint64(at) | 1n << BigInt(bit % 64));
  }
  return new Uint8Array(view.buffer).toBase64({ alphabet: "base64url" });
}

function number(address: string): number {
  return address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

function twice(what: string, values: readonly string[]): string[] {
  const seen = new Set<string>(), faults: string[] = [];
  for (const value of values) {
    if (seen.has(value)) faults.push(`${what} ${value} is there twice`);
    seen.add(value);
  }
  return faults;
}
