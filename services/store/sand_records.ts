/**
 * Every value that overlay networks have in etcd, in one table. Nothing else parses or writes one.
 *
 * The JSON is what SAND has always stored, shared live with its agents: fields that are not known here and the text
 * of times are kept when a record is written again.
 */
import { z } from "zod";
import { Cidr, Ip } from "../common/ip.ts";
import { isInterfaceName } from "../common/interface_name.ts";
import { tryParseMac } from "../common/mac.ts";
import { messageOf } from "../common/refusal.ts";
import { readRecord } from "./read_record.ts";
import { SandKeys } from "./sand_keys.ts";
import type { Schema } from "./types.ts";

const text = z.string();
const orEmpty = (test: (text: string) => unknown, message: string) =>
  text.refine((t) => t === "" || test(t), message).default("");
const cidr = (t: string) => Cidr.tryParse(t)?.family === 4;

const vni = z.int().min(0).max(0xffffff);

const network = z.looseObject({
  id: text,
  /** RFC 3339 with nanoseconds and an offset: kept as text, a Date would lose both. */
  created_at: text.default(""),
  name: text.default(""),
  type: text.default("overlay"),
  /** On the host that created it; each host has its own. */
  ns_handle_path: text.default(""),
  vxlan_vni: vni,
  /** Strand only: the UDP port of its VXLAN packets, where it is not IANA's. SAND's agents do not know it. */
  strand_vxlan_port: z.int().min(1).max(0xffff).optional(),
  ip_range: text.refine(cidr, "no IPv4 CIDR, like 10.0.0.0/24"),
  /** In CIDR form, like 10.0.0.1/24. */
  gateway: text.refine(cidr, "no IPv4 address in CIDR form, like 10.0.0.1/24"),
});

/** What can be read of a network's record that is not as it should be: 0 is no network's VNI. */
const partOfNetwork = z.object({
  created_at: text.catch(""),
  name: text.catch(""),
  type: text.catch("overlay"),
  ns_handle_path: text.catch(""),
  vxlan_vni: vni.catch(0),
  ip_range: text.catch(""),
  gateway: text.catch(""),
});

/** What the kernel keeps of a route in 32 bits. */
const metric = z.int().nonnegative().max(0xffffffff);

const route = z.object({
  dst: text.refine(cidr, "no IPv4 destination in CIDR form, like 0.0.0.0/0"),
  gw: text.refine((t) => Ip.tryParse(t)?.family === 4, "no IPv4 address, like 10.0.0.1").optional(),
  mtu: metric.optional(),
  advmss: metric.optional(),
  priority: metric.optional(),
});

/**
 * The name of a veth's end in the network's namespace, as every agent makes it. Another host may have written anything:
 * `br0` would have this host remove its bridge.
 */
const overlayVethName = orEmpty(
  (t) => /^sand[\da-f]{4}$/i.test(t),
  "not sand and four hex digits, like sand00ff",
);
/** What an agent of ours calls the veth's end in the host's namespace: this host deletes the interface of that name. */
const hostVethName = text.regex(/^sandc[\da-f]{4}$/i, "not sandc and four hex digits, like sandc00ff");
/** A path that can be opened; no path of the agent's own namespace is a valid target. */
const targetPath = orEmpty(
  (t) =>
    t.startsWith("/") && !t.includes("\0") && t.length < 4096 && !/^\/+proc\/+(self|thread-self)\//.test(t),
  "not the absolute path of another process's or a bound network namespace, like /var/run/netns/blue",
);

/** An interface of a container in a network, by the runtime's names for the three. */
const attachment = z.object({ network: text, container: text, ifname: text });

/** Docker's ids of an endpoint and its network. */
const docker = z.object({ network: text, endpoint: text });

const endpoint = z.looseObject({
  id: text,
  network_id: text.regex(/^[^/]+$/, "no network's id, like 320a669f-e465-4806-ab46-f2e6620c4311"),
  hostname: text.regex(/^[^/]+$/, "no host's name: empty, or with a slash"),
  /** The VTEP. */
  host_ip: orEmpty((t) => Ip.tryParse(t), "no IP address, like 192.0.2.1"),
  api_hostname: text.default(""),
  created_at: text.default(""),
  target_netns_path: targetPath,
  overlay_veth_name: overlayVethName,
  overlay_veth_mac: text.default(""),
  target_veth_name: orEmpty(isInterfaceName, "not the name of an interface, at most 15 bytes, like sand00ff"),
  target_veth_mac: orEmpty(tryParseMac, "no MAC address, like 02:84:0a:00:00:02"),
  /** In CIDR form, like 10.0.0.2/24. */
  target_veth_ip: orEmpty(cidr, "no IPv4 address in CIDR form, like 10.0.0.2/24"),
  active: z.boolean().default(false),
  /** Strand only: which namespace is at target_netns_path, as the host's kernel calls it. */
  strand_netns: text.optional(),
  /** Strand only: routes that the target namespace gets along with the address. */
  strand_routes: z.array(route).max(256).optional(),
  /** Strand only: its host has a route to its address, and is reached from it, over the network's gateway. */
  strand_host_route: z.boolean().optional(),
  /** Strand only: the name of the veth's end in the host's own namespace, where it has one there. */
  strand_host_veth: hostVethName.optional(),
  /** Strand only: what a runtime of containers knows the endpoint by (CNI). */
  strand_cni: attachment.optional(),
  /** Strand only: it is Docker's, which moves the veth's other end and gives it its name and addresses. */
  strand_docker: docker.optional(),
});

/** The network is set up on a host. */
const presence = z.looseObject({
  id: text.default(""),
  created_at: text.default(""),
  /** Strand only: the largest MTU that the network can have on the host; SAND's older agents do not write it. */
  mtu: z.int().positive().optional(),
  /** Strand only: the VNI on which the host answers probes of the underlay. */
  probe_vni: z.int().positive().optional(),
});

const allocation = z.looseObject({
  id: text.default(""),
  address_range: text,
  address_count: z.int().nonnegative(),
  /** See services/overlay/bit_set.ts. */
  bit_set: text,
});

/** Parsed without a schema: there may be hundreds of numbers, which each change of an endpoint reads and writes again. */
function isListOfNumbers(value: unknown): boolean {
  return Array.isArray(value) &&
    value.every((list) => Array.isArray(list) && list.every((n) => Number.isFinite(n)));
}

/** Hints alone: what is not as it should be is left out, and the next host to write it puts it right. */
const cursor = z.looseObject({
  /** The address at which the search for a free one goes on. */
  next: text.catch(""),
  /** When addresses were given back, in seconds since the epoch, and behind it their offsets in the range. */
  released: z.custom<number[][]>(isListOfNumbers).catch([]),
});

const dockerNetwork = z.looseObject({ DockerNetworkID: text, SandNetworkID: text });
const dockerEndpoint = z.looseObject({
  DockerNetworkID: text.default(""),
  SandNetworkID: text.default(""),
  DockerEndpointID: text,
  SandEndpointID: text,
});

const applied = z.looseObject({ revision: z.int().nonnegative() });
const deleted = z.looseObject({ created_at: text });

/** Which agent has a host's name, see services/agent/name_claim.ts. */
const nameClaim = z.looseObject({
  /** Of this run of the agent alone. */
  start: text,
  /** The kernel's boot id. */
  boot: text,
  /** The file that the agent holds locked, as the kernel calls it. */
  lock: text,
  /** The lease that the key was put with, in hex. */
  lease: text,
  /** RFC 3339: when the agent took the name. */
  since: text,
  /** The VTEP, and the machine's own name, for those who look for it. */
  host_ip: text.default(""),
  machine: text.default(""),
});

export type NetworkRecord = z.infer<typeof network>;
export type EndpointRecord = z.infer<typeof endpoint>;
export type AttachmentRecord = z.infer<typeof attachment>;
export type DockerIds = z.infer<typeof docker>;
export type PresenceRecord = z.infer<typeof presence>;
export type AllocationRecord = z.infer<typeof allocation>;
export type CursorRecord = z.infer<typeof cursor>;
export type DockerNetworkRecord = z.infer<typeof dockerNetwork>;
export type DockerEndpointRecord = z.infer<typeof dockerEndpoint>;
export type AppliedRecord = z.infer<typeof applied>;
export type DeletedRecord = z.infer<typeof deleted>;
export type NameClaimRecord = z.infer<typeof nameClaim>;

/** A value with what it is and the ids that its key gives it. */
export type SandRecord =
  /** `broken`: why the stored value is not a network's whole record; `value` has what can be read of it. */
  | { kind: "network"; network: string; value: NetworkRecord; broken?: string }
  | { kind: "host-endpoint"; host: string; id: string; value: EndpointRecord }
  | { kind: "network-endpoint"; network: string; id: string; value: EndpointRecord }
  | { kind: "host-network" | "network-host"; host: string; network: string; value: PresenceRecord }
  | { kind: "allocation"; network: string; value: AllocationRecord }
  | { kind: "cursor"; network: string; value: CursorRecord }
  | { kind: "docker-network"; id: string; value: DockerNetworkRecord }
  | { kind: "docker-endpoint"; id: string; value: DockerEndpointRecord }
  | { kind: "applied"; host: string; network: string; value: AppliedRecord }
  | { kind: "deleted"; network: string; value: DeletedRecord }
  | { kind: "name-claim"; host: string; value: NameClaimRecord };

/**
 * Overlay networks, as {@link Schema} for the mirror.
 *
 * @param prefixes What the mirror follows: everything, or what concerns one host.
 */
export function sandSchema(
  keys: SandKeys = new SandKeys(),
  prefixes: readonly string[] = [`${keys.prefix}/`],
): Schema<SandRecord> {
  return { prefixes, parse: (key, value) => parse(keys, key, value) };
}

function parse(keys: SandKeys, key: string, text: string): SandRecord | undefined {
  const found = keys.read(key);
  if (!found) return undefined;
  switch (found.kind) {
    case "network":
      return { ...found, kind: found.kind, ...readNetwork(found.network, text) };
    case "allocation":
      return { ...found, kind: found.kind, value: readRecord(allocation, text) };
    case "cursor":
      return { ...found, kind: found.kind, value: readCursor(text) };
    case "deleted":
      return { ...found, kind: found.kind, value: readRecord(deleted, text) };
    case "host-endpoint": {
      const value = as(found.id, "id", readEndpoint(text));
      return { ...found, value: as(found.host, "hostname", value) };
    }
    case "network-endpoint": {
      const value = as(found.id, "id", readEndpoint(text));
      return { ...found, value: as(found.network, "network_id", value) };
    }
    case "host-network":
    case "network-host":
      return { ...found, kind: found.kind, value: readRecord(presence, text) };
    case "applied":
      return { ...found, kind: found.kind, value: readRecord(applied, text) };
    case "name-claim":
      return { ...found, kind: found.kind, value: readRecord(nameClaim, text) };
    case "docker-network":
      return { ...found, kind: found.kind, value: readRecord(dockerNetwork, text) };
    case "docker-endpoint":
      return { ...found, kind: found.kind, value: readRecord(dockerEndpoint, text) };
  }
}

let lastEndpoint: { readonly text: string; readonly value: EndpointRecord } | undefined;

/** An endpoint has one text under two keys, which are written together: one after the other it is read once. */
function readEndpoint(text: string): EndpointRecord {
  if (lastEndpoint?.text !== text) lastEndpoint = { text, value: readRecord(endpoint, text) };
  return lastEndpoint.value;
}

/** Other networks are planned around each one, which is deleted like any other: none is left out for its record's sake. */
function readNetwork(id: string, text: string): { value: NetworkRecord; broken?: string } {
  try {
    return { value: as(id, "id", readRecord(network, text)) };
  } catch (error) {
    return { value: { ...partOfNetwork.parse(objectIn(text)), id }, broken: messageOf(error) };
  }
}

/** The JSON object in a text; an empty one when there is none. */
function objectIn(text: string): object {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? json : {};
  } catch {
    return {};
  }
}

/** Addresses can be given out without it: one that is none is no reason to refuse that. */
function readCursor(text: string): CursorRecord {
  try {
    return readRecord(cursor, text);
  } catch {
    return { next: "", released: [] };
  }
}

/** A record must be the one that its key names, or two keys could stand for one thing. */
function as<T extends Record<string, unknown>>(wanted: string, field: string, value: T): T {
  if (value[field] !== wanted) throw new Error(`${field}: "${value[field]}" under the key of "${wanted}"`);
  return value;
}

/** The stored text of a record. Fields stay as they are, empty ones too: old agents expect each of them. */
export function writeSandRecord(value: SandRecord["value"]): string {
  return JSON.stringify(value);
}
