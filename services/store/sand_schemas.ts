/**
 * The values that overlay networks (SAND) have in etcd, as zod's schemas.
 *
 * The JSON is that of SAND, shared with its running agents: fields that are not named here are kept.
 */
import { z } from "zod";
import { Cidr, Ip } from "../common/ip.ts";
import { isInterfaceName } from "../common/interface_name.ts";
import { tryParseMac } from "../common/mac.ts";
import { networkRecord } from "./records.ts";

const text = z.string();
const orEmpty = (test: (text: string) => unknown, message: string) =>
  text.refine((t) => t === "" || test(t), message).default("");
const cidr = (t: string) => Cidr.tryParse(t)?.family === 4;

const vni = z.int().min(0).max(0xffffff);

export const network = z.looseObject({
  id: text,
  /** RFC 3339 with nanoseconds and an offset; it stays text, since a Date would lose both. */
  created_at: text.default(""),
  name: text.default(""),
  type: text.default("overlay"),
  /** The path on the host that created the network; each host has its own. */
  ns_handle_path: text.default(""),
  vxlan_vni: vni,
  /** Strand only: the UDP port of its VXLAN packets, where it is not IANA's. SAND's agents do not know it. */
  strand_vxlan_port: z.int().min(1).max(0xffff).optional(),
  ip_range: text.refine(cidr, "no IPv4 CIDR, like 10.0.0.0/24"),
  /** In CIDR form, like 10.0.0.1/24. */
  gateway: text.refine(cidr, "no IPv4 address in CIDR form, like 10.0.0.1/24"),
});

/** The valid fields of a network's record that is invalid as a whole; VNI 0 stands for an invalid one. */
export const partOfNetwork = z.object({
  created_at: text.catch(""),
  name: text.catch(""),
  type: text.catch("overlay"),
  ns_handle_path: text.catch(""),
  vxlan_vni: vni.catch(0),
  ip_range: text.catch(""),
  gateway: text.catch(""),
});

/** A route's metrics have 32 bits in the kernel. */
const metric = z.int().nonnegative().max(0xffffffff);

const route = z.object({
  dst: text.refine(cidr, "no IPv4 destination in CIDR form, like 0.0.0.0/0"),
  gw: text.refine((t) => Ip.familyOf(t) === 4, "no IPv4 address, like 10.0.0.1").optional(),
  mtu: metric.optional(),
  advmss: metric.optional(),
  priority: metric.optional(),
});

/**
 * The name of a veth's end in the network's namespace, in the form that every agent uses. It is checked because any
 * host can write it: `br0` would make this host remove its bridge.
 */
const overlayVethName = orEmpty(
  (t) => /^sand[\da-f]{4}$/i.test(t),
  "not sand and four hex digits, like sand00ff",
);
/**
 * The name of a veth's end in the host's namespace, in the form that this agent uses. It is checked because this host
 * deletes the interface of that name.
 */
const hostVethName = text.regex(/^sandc[\da-f]{4}$/i, "not sandc and four hex digits, like sandc00ff");
/**
 * The path of a target namespace. It is checked because the agent opens it; a path of the agent's own namespace is
 * never valid.
 */
const targetPath = orEmpty(
  (t) =>
    t.startsWith("/") && !t.includes("\0") && t.length < 4096 && !/^\/+proc\/+(self|thread-self)\//.test(t),
  "not the absolute path of another process's or a bound network namespace, like /var/run/netns/blue",
);

/** A container's interface in a network, by the runtime's names for the three. */
const attachment = z.object({ network: text, container: text, ifname: text });

/** Docker's ids of an endpoint and its network. */
const docker = z.object({ network: text, endpoint: text });

/** True for one label of a domain name (RFC 1035 §2.3.4), lower-case. */
export function isLabel(text: string): boolean {
  return /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(text);
}

const label = text.refine(isLabel, "no DNS label: 1 to 63 lower-case letters, digits or hyphens");

/** The most addresses beside its own that an endpoint may use. */
export const MOST_ALLOWED = 16;

const allowed = z.object({
  address: text.refine((t) => Ip.familyOf(t) === 4, "no IPv4 address, like 10.0.0.9"),
  mac: text.refine((t) => tryParseMac(t) === t, "no MAC address in lower case, like 00:00:5e:00:01:09")
    .optional(),
});

export const endpoint = z.looseObject({
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
  /** Strand only: the identity of the namespace at target_netns_path. */
  strand_netns: text.optional(),
  /** Strand only: the same with the namespace's cookie, where the kernel has one; see services/overlay/namespace_identity.ts. */
  strand_netns_cookie: text.optional(),
  /** Strand only: routes that the target namespace gets with the address. */
  strand_routes: z.array(route).max(256).optional(),
  /** Strand only: the host has a route to its address and is reached from it over the network's gateway. */
  strand_host_route: z.boolean().optional(),
  /** Strand only: the name of the veth's end in the host's own namespace, where it has one there. */
  strand_host_veth: hostVethName.optional(),
  /** Strand only: the names by which a container runtime knows the endpoint (CNI). */
  strand_cni: attachment.optional(),
  /** Strand only: it is Docker's endpoint; Docker moves the veth's other end, and sets its name and addresses. */
  strand_docker: docker.optional(),
  /** Strand only: its label in the network's domain, lower-case, and further ones that endpoints may share. */
  strand_name: label.optional(),
  strand_aliases: z.array(label).max(64).optional(),
  /** Strand only: the label that it was to have as its name, where another machine had it. */
  strand_unnamed: label.optional(),
  /** Strand only: addresses beside its own that it may use, each with a MAC that it may use for it. */
  strand_allowed: z.array(allowed).max(MOST_ALLOWED).optional(),
  /**
   * Strand only: "dhcp": a machine behind a port of the host, which has leased the address until then, in RFC 3339 and UTC;
   * "static": one that the port names.
   */
  kind: text.optional(),
  expires_at: text.optional(),
  /** Strand only: W3C's traceparent of the span in which it was created; see docs/ARCHITECTURE.md, "Traces". */
  strand_traceparent: text.optional(),
  /** Strand only: the port of the network's bridge on its host that such a machine is behind. */
  strand_port: text.refine(isInterfaceName, "not the name of an interface, at most 15 bytes, like tap0")
    .optional(),
});

/** A presence record: the network is set up on a host. */
export const presence = z.looseObject({
  id: text.default(""),
  created_at: text.default(""),
  /** Strand only: the largest MTU that the network can have on the host; SAND's older agents do not write it. */
  mtu: z.int().positive().optional(),
  /** Strand only: the VNI on which the host answers probes of the underlay. */
  probe_vni: z.int().positive().optional(),
  /** Strand only: true: the host's agent knows reservations, whose addresses earlier ones would give to others. */
  names: z.boolean().optional(),
});

export const allocation = z.looseObject({
  id: text.default(""),
  address_range: text,
  address_count: z.int().nonnegative(),
  /** See services/overlay/bit_set.ts. */
  bit_set: text,
});

/** Parsed without a zod schema, since each change of an endpoint reads and writes hundreds of numbers. */
function isListOfNumbers(value: unknown): boolean {
  return Array.isArray(value) &&
    value.every((list) => Array.isArray(list) && list.every((n) => Number.isFinite(n)));
}

/** The cursor is only a hint: invalid fields are ignored, and the next host that writes it corrects them. */
export const cursor = z.looseObject({
  /** The address at which the search for a free one continues. */
  next: text.catch(""),
  /** Groups of released addresses: the time in seconds since the epoch, followed by offsets in the range. */
  released: z.custom<number[][]>(isListOfNumbers).catch([]),
});

/** The network that a name stands for. */
export const networkName = z.looseObject({ id: text });

/** The services of an overlay beside carrying frames; see docs/NETWORKS.md. */
const overlay = z.looseObject({
  /** False: DHCP, DNS is not answered at the gateway's address. */
  dhcp: z.boolean().optional(),
  dns: z.boolean().optional(),
  /** True: the gateway resolves other names by its host's resolvers. */
  forward: z.boolean().optional(),
  /** True: machines reach other networks through their host. */
  egress: z.boolean().optional(),
  /** True: ports carry only what is their own; false: what is not their own is counted. */
  contain: z.boolean().optional(),
  /** True: ports have no rules at all. */
  trusted: z.boolean().optional(),
  /** True: broadcast and multicast reach the network's other hosts. */
  broadcast: z.boolean().optional(),
});

/** The fields that an operator has set; all others are derived from the network's range and gateway. */
export const settings = z.looseObject({
  network: networkRecord,
  overlay: overlay.default({}),
  /** True: the network was there before it got its name. */
  adopted: z.boolean().optional(),
});

/** A machine's name and address, which it has wherever it is attached. */
export const reservation = z.looseObject({
  mac: text.refine((t) => tryParseMac(t) === t, "no MAC address in lower case, like 52:54:00:00:00:05"),
  name: label.optional(),
  ip4: text.refine((t) => Ip.familyOf(t) === 4, "no IPv4 address, like 10.0.0.5").optional(),
  /** True: other machines may have the same name. */
  shared: z.boolean().optional(),
});

/** An address in quarantine: its end, in seconds since the epoch, and the client that found it in use, with its host and port. */
export const withheldAddress = z.looseObject({
  mac: text,
  until: z.int().nonnegative(),
  host: text.optional(),
  port: text.optional(),
});

/** The client that had an address last: its MAC, and when its lease ended, in seconds since the epoch. */
export const formerAddress = z.looseObject({ mac: text, ended: z.int().nonnegative() });

/** The endpoint that holds an address which several may use. */
export const heldAddress = z.looseObject({ endpoint: text });

export const dockerNetwork = z.looseObject({ DockerNetworkID: text, SandNetworkID: text });
export const dockerEndpoint = z.looseObject({
  DockerNetworkID: text.default(""),
  SandNetworkID: text.default(""),
  DockerEndpointID: text,
  SandEndpointID: text,
});

export const applied = z.looseObject({ revision: z.int().nonnegative() });
export const deleted = z.looseObject({ created_at: text });

/** Repairs of what other programs had changed in a host's kernel, by network; see services/agent/reconcile/repairs.ts. */
export const repairs = z.looseObject({
  /** When it began to count, in RFC 3339. */
  since: text,
  networks: z.array(z.looseObject({
    /** Of the network; empty: of the host itself. */
    id: text,
    /** How often something was found, how many differences there were in all, and when the last one was, in RFC 3339. */
    times: z.int().nonnegative(),
    differences: z.int().nonnegative(),
    last: text,
    /** How many differences there were by the operation that has mended them. */
    ops: z.record(text, z.int().nonnegative()),
    // An agent writes 32; readers of all hosts' records are not to keep more than that of any.
  })).max(64),
});

/** The claim of an agent on a host's name, see services/agent/store_guard/name_claim.ts. */
export const nameClaim = z.looseObject({
  /** Random, different for each run of the agent. */
  start: text,
  /** The kernel's boot id. */
  boot: text,
  /** The agent's locked file, by the kernel's name for it. */
  lock: text,
  /** The id of the lease of the key, in hex. */
  lease: text,
  /** When the agent claimed the name, in RFC 3339. */
  since: text,
  /** The VTEP; with the machine's own name it helps operators to find the agent. */
  host_ip: text.default(""),
  machine: text.default(""),
  /** The agent's version. */
  version: text.default(""),
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
export type NetworkNameRecord = z.infer<typeof networkName>;
export type RepairsRecord = z.infer<typeof repairs>;
export type SettingsRecord = z.infer<typeof settings>;
export type OverlayOptions = z.infer<typeof overlay>;
export type ReservationRecord = z.infer<typeof reservation>;
export type WithheldAddressRecord = z.infer<typeof withheldAddress>;
export type FormerAddressRecord = z.infer<typeof formerAddress>;
export type HeldAddressRecord = z.infer<typeof heldAddress>;
export type AllowedAddressRecord = z.infer<typeof allowed>;
export type NameClaimRecord = z.infer<typeof nameClaim>;
