/** Plans that create endpoints: their addresses, MACs and records. */
import { Ip } from "../common/ip.ts";
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import {
  type AllowedAddressRecord,
  type AttachmentRecord,
  type DockerIds,
  type EndpointRecord,
  type NetworkRecord,
  type ReservationRecord,
  writeSandRecord,
} from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { PlanBatch } from "./plan_batch.ts";
import { claimAllowed } from "./claim_allowed.ts";
import { Claims, rangeOf } from "./claims.ts";
import { type Activation, activeFields, noPort, portsLeft, putEndpoint } from "./endpoints.ts";
import { networkProblem } from "./faults.ts";
import { joinNetwork } from "./hosts.ts";
import { findNetwork } from "./networks.ts";
import { aliasesFor, checkName, unchangedEndpoints, unchangedReservations } from "./taken_names.ts";
import { macNumber } from "./state.ts";
import type { OverlayView } from "./view.ts";

/** The host on which an endpoint is created. */
export interface EndpointHost {
  readonly hostname: string;
  /** Its VTEP. */
  readonly ip: Ip;
  readonly apiHostname: string;
  /** The largest MTU that the network can have there. */
  readonly mtu: number;
}

/** One endpoint to be created; the request is the same for every attempt. */
export interface EndpointRequest {
  /** A random v4 UUID. */
  readonly id: string;
  /** RFC 3339 with nanoseconds. */
  readonly now: string;
  /** Undefined: the next free one. */
  readonly address?: Ip | undefined;
  /** The address was claimed before, by planClaim(). */
  readonly claimed?: boolean;
  /** Undefined: 02:84 and the address. */
  readonly mac?: string | undefined;
  /** Its label in the network's domain; undefined: it has none. */
  readonly name?: string | undefined;
  /** The label that it gets where the network has settings and no other machine has the label; otherwise it has none. */
  readonly wishedName?: string | undefined;
  /** Further labels, which other endpoints may have as theirs. */
  readonly aliases?: readonly string[] | undefined;
  /** Further labels, of which those are left out that it cannot have. */
  readonly wishedAliases?: readonly string[] | undefined;
  /** Addresses beside its own that it may use. */
  readonly allowed?: readonly AllowedAddressRecord[] | undefined;
  /** Undefined: the endpoint is created inactive. */
  readonly activation?: Activation | undefined;
  /** The names by which a container runtime knows it. */
  readonly attachment?: AttachmentRecord | undefined;
  /** Docker's ids of the endpoint, where it is created for Docker. */
  readonly docker?: DockerIds | undefined;
  /** The span in which it is created, as W3C's traceparent. */
  readonly traceparent?: string | undefined;
}

/** The results for several endpoints, in the order of the requests: each is a record or a Refusal. */
export interface PlannedEndpoints {
  readonly results: readonly (EndpointRecord | Refusal)[];
  /** To be committed in order; the results hold once all of them are. */
  readonly plans: readonly Plan[];
}

/**
 * Plans endpoints of one network on one host, many in one transaction; one that is refused does not fail the others.
 *
 * @throws Refusal "not-found" for an unknown network, "forbidden" for one that is being deleted or whose claims are wrong.
 */
export function planCreateEndpoints(
  view: OverlayView,
  networkId: string,
  host: EndpointHost,
  requests: readonly EndpointRequest[],
): PlannedEndpoints {
  const network = findNetwork(view, networkId);
  const problem = networkProblem(view, networkId);
  if (problem !== undefined) throw new Refusal("forbidden", problem);
  if (view.isDeleted(networkId)) {
    throw new Refusal("forbidden", `network ${network.name} is being deleted: no endpoint can be made in it`);
  }
  const claims = new Claims(view, network, Date.parse(requests[0]?.now ?? ""));
  let ports = portsLeft(view, networkId, host.hostname);
  const macs = new Set<string>(), names = new Set<string>();
  const work = new PlanBatch(() => {
    // The guard refuses the plan when the network is deleted meanwhile.
    const builder = new PlanBuilder().guard(view.guard(view.keys.network(networkId)))
      // They have the range from which addresses are allocated.
      .guard(view.guard(view.keys.settings(networkId)));
    // MACs of other endpoints were compared too, and may be newer than the guarded record of addresses.
    const isNamed = ({ name, wishedName, aliases, wishedAliases }: EndpointRequest) =>
      name || wishedName || aliases?.length || wishedAliases?.length;
    if (requests.some((request) => request.mac || isNamed(request) || request.allowed?.length)) {
      unchangedEndpoints(view, networkId, builder);
    }
    if (requests.some(isNamed)) {
      unchangedReservations(view, networkId, builder);
    }
    joinNetwork(view, networkId, { ...host, now: requests[0]?.now ?? "" }, builder);
    return builder;
  }, claims);
  const results = requests.map((request) => {
    const existing = view.endpoint(request.id);
    if (existing) return existing.record;
    try {
      if (request.activation && ports-- <= 0) throw noPort(network, host.hostname);
      const record = newEndpoint(view, network, host, request, claims, { macs, names });
      work.next((builder) => putNew(view, record, builder));
      return record;
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  });
  return { results, plans: work.plans() };
}

function newEndpoint(
  view: OverlayView,
  network: NetworkRecord,
  host: EndpointHost,
  request: EndpointRequest,
  claims: Claims,
  { macs, names }: { readonly macs: Set<string>; readonly names: Set<string> },
): EndpointRecord {
  if (request.name !== undefined) checkName(view, network, request.name, request.mac, names);
  const given = request.mac ? checkMac(view, network, request.mac, macs) : undefined;
  const { claimed = false } = request, { reservations, settings } = view.space(network.id);
  const reservation = given === undefined ? undefined : reservations.get(given);
  if (request.name !== undefined && reservation?.name !== undefined && request.name !== reservation.name) {
    throw invalid(
      `name: ${request.name} is not ${reservation.name}, which is reserved in network ${network.name} for ${given}: request ` +
        "that one, or none",
    );
  }
  const address = takeAddress(network, request, given, reservation, claims);
  const own = macFor(address), mac = given ?? own;
  if (mac.startsWith(own.slice(0, PREFIX)) && mac !== own) {
    if (!claimed) claims.undoAllocation(address);
    throw invalid(
      `mac_address: ${mac} is for the endpoint of another address than ${address}, whose own is ${own}`,
    );
  }
  const wished = settings && reservation?.name === undefined ? request.wishedName : undefined;
  const isFree = wished !== undefined && isFreeName(view, network, wished, given, names);
  const name = request.name ?? (isFree ? wished : undefined);
  const { allowed = [] } = request;
  let aliases: string[];
  try {
    aliases = aliasesFor(view, network, request, { mac, name: reservation?.name ?? name });
    claimAllowed(view.space(network.id), network, allowed, { address, mac }, claims);
  } catch (error) {
    if (!claimed) claims.undoAllocation(address);
    throw error;
  }
  macs.add(mac);
  if (name !== undefined) names.add(name);
  return {
    id: request.id,
    network_id: network.id,
    hostname: host.hostname,
    host_ip: host.ip.toString(),
    api_hostname: host.apiHostname,
    created_at: request.now,
    target_netns_path: "",
    overlay_veth_name: "",
    overlay_veth_mac: "",
    target_veth_name: "",
    target_veth_mac: mac,
    target_veth_ip: `${address}/${rangeOf(network).prefix}`,
    active: false,
    ...name === undefined ? {} : { strand_name: name },
    ...wished === undefined || isFree ? {} : { strand_unnamed: wished },
    ...request.activation ? activeFields(request.activation) : {},
    ...request.attachment ? { strand_cni: request.attachment } : {},
    ...aliases.length ? { strand_aliases: aliases } : {},
    ...allowed.length ? { strand_allowed: [...allowed] } : {},
    ...request.docker ? { strand_docker: request.docker } : {},
    ...request.traceparent === undefined ? {} : { strand_traceparent: request.traceparent },
    ...reservation?.name === undefined ? {} : { strand_name: reservation.name },
  };
}

/** The address of an endpoint: what is requested, what is reserved for its MAC, or the next free one. */
function takeAddress(
  { name }: NetworkRecord,
  { address, claimed = false }: EndpointRequest,
  mac: string | undefined,
  reservation: ReservationRecord | undefined,
  claims: Claims,
): Ip {
  const reserved = reservation?.ip4 === undefined ? undefined : Ip.tryParse(reservation.ip4);
  if (reserved && address && !address.equals(reserved)) {
    throw invalid(
      `ipv4_address: ${address} is not ${reserved}, which is reserved in network ${name} for ${mac}: request that one, or none`,
    );
  }
  // Its bit is set already, so that nothing else would keep a machine with the MAC from leasing it at the same time.
  if (reserved) claims.touch();
  const wanted = address ?? reserved;
  return wanted ? claims.take(wanted, { claimed, mac: mac ?? macFor(wanted) }) : claims.takeNext();
}

function isFreeName(...label: Parameters<typeof checkName>): boolean {
  try {
    checkName(...label);
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.code === "exists") return false;
    throw error;
  }
}

function checkMac(view: OverlayView, network: NetworkRecord, text: string, macs: Set<string>): string {
  const mac = parseMac(text, "mac_address");
  if (parseInt(mac.slice(0, 2), 16) & 1) {
    throw invalid(`mac_address: ${mac} is a group address, which no endpoint can have`);
  }
  const holder = view.space(network.id).holdersOfMac(macNumber(mac))[0];
  if (holder || macs.has(mac)) {
    const who = holder ? `endpoint ${holder.id} on ${holder.host}` : "another endpoint of this request";
    throw new Refusal("exists", `mac_address: ${mac} of network ${network.name} belongs to ${who}`);
  }
  return mac;
}

/** The length of the prefix that MACs derived from addresses have in common. */
const PREFIX = "02:84:".length;

/** True for a MAC of the form that agents give to endpoints, each for one address. */
export function isEndpointMac(mac: string): boolean {
  return mac.startsWith("02:84:");
}

/** The default MAC of an endpoint: 02:84 and the four bytes of its address. */
export function macFor(address: Ip): string {
  return ["02", "84", ...Array.from(address.bytes, (byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/**
 * Chooses a name for a veth, `sand` and four hex digits, that is not in use.
 *
 * @param random Returns a whole number from 0 to below `n`.
 */
export function vethName(used: { has(name: string): boolean }, random: (n: number) => number): string {
  const start = random(0x10000);
  for (let i = 0; i < 0x10000; i++) {
    const name = `sand${((start + i) & 0xffff).toString(16).padStart(4, "0")}`;
    if (!used.has(name)) return name;
  }
  throw new Refusal("exhausted", "all 65536 names that a veth can have are in use");
}

function putNew(view: OverlayView, record: EndpointRecord, builder: PlanBuilder): void {
  const { network_id: network, id, target_veth_mac: mac } = record;
  builder.guard(
    view.guard(view.keys.networkEndpoint(network, id)),
    view.guard(view.keys.reservation(network, mac)),
  );
  putEndpoint(view, record, builder);
  const { strand_docker: docker } = record;
  if (!docker) return;
  const ids = {
    DockerNetworkID: docker.network,
    SandNetworkID: record.network_id,
    DockerEndpointID: docker.endpoint,
    SandEndpointID: record.id,
  };
  builder.put(view.keys.dockerEndpoint(docker.endpoint), writeSandRecord(ids));
}
