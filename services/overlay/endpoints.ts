import type { Ip } from "../common/ip.ts";
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { type EndpointRecord, type NetworkRecord, writeSandRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { Claims, rangeOf } from "./claims.ts";
import { joinNetwork } from "./hosts.ts";
import { findNetwork, type Planned } from "./networks.ts";
import type { Endpoint } from "./space.ts";
import { macNumber } from "./state.ts";
import { Step } from "./step.ts";
import type { View } from "./view.ts";

/** The host that an endpoint is made on. */
export interface Host {
  readonly hostname: string;
  /** Its VTEP. */
  readonly ip: Ip;
  readonly apiHostname: string;
}

/** What an active endpoint has in the kernel. */
export interface Activation {
  /** Empty where Docker moves the veth and gives it its address. */
  readonly targetNetnsPath: string;
  readonly overlayVethName: string;
  readonly overlayVethMac: string;
  readonly targetVethName: string;
}

/** One endpoint to be made; the same for every attempt of one request. */
export interface EndpointRequest {
  /** A random v4 UUID. */
  readonly id: string;
  /** RFC 3339 with nanoseconds. */
  readonly now: string;
  /** Undefined: the lowest free. */
  readonly address?: Ip | undefined;
  /** The address was claimed before, by {@link planClaim}. */
  readonly claimed?: boolean;
  /** Undefined: 02:84 and the address. */
  readonly mac?: string | undefined;
  /** Undefined: the endpoint is made inactive. */
  readonly activation?: Activation | undefined;
}

/** What becomes of several endpoints: each one's record, or why it is refused, in the order of the requests. */
export interface PlannedEndpoints {
  readonly results: readonly (EndpointRecord | Refusal)[];
  /** To be committed in order; the results hold once all of them are. */
  readonly plans: readonly Plan[];
}

/** An endpoint takes two keys; a step may also have claims, the network's guard, and the host's two keys. */
const ROOM = 8;

/**
 * Plans endpoints of one network on one host, many in one transaction; one that is refused does not fail the others.
 *
 * @throws Refusal "not-found" for an unknown network, "forbidden" for one that is being deleted or whose claims are wrong.
 */
export function planCreateEndpoints(
  view: View,
  networkId: string,
  host: Host,
  requests: readonly EndpointRequest[],
): PlannedEndpoints {
  const network = findNetwork(view, networkId);
  if (view.deleted.has(networkId)) {
    throw new Refusal("forbidden", `network ${network.name} is being deleted: no endpoint can be made in it`);
  }
  const claims = new Claims(view, network);
  const macs = new Set<string>();
  const work = new Batch(() => {
    // A network that is deleted meanwhile takes no endpoint.
    const step = new Step().guard(view.guard(view.keys.network(networkId)));
    joinNetwork(view, networkId, host.hostname, requests[0]?.now ?? "", step);
    return step;
  }, claims);
  const results = requests.map((request) => {
    const existing = view.endpoint(request.id);
    if (existing) return existing.record;
    try {
      const record = newEndpoint(view, network, host, request, claims, macs);
      work.next((step) => putNew(view, record, step));
      return record;
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  });
  return { results, plans: work.plans() };
}

function newEndpoint(
  view: View,
  network: NetworkRecord,
  host: Host,
  request: EndpointRequest,
  claims: Claims,
  macs: Set<string>,
): EndpointRecord {
  const given = request.mac ? checkMac(view, network, request.mac, macs) : undefined;
  const { claimed = false } = request;
  const address = request.address ? claims.take(request.address, { claimed }) : claims.takeLowest();
  const mac = given ?? macFor(address);
  macs.add(mac);
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
    ...request.activation ? activeFields(request.activation) : {},
  };
}

function checkMac(view: View, network: NetworkRecord, text: string, macs: Set<string>): string {
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

/** The MAC of an endpoint that is given none: 02:84 and the four bytes of its address. */
export function macFor(address: Ip): string {
  return ["02", "84", ...Array.from(address.bytes, (byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/**
 * A name for a veth, `sand` and four hex digits, that none of the given names has.
 *
 * @param random A whole number from 0 to below `n`.
 */
export function vethName(used: { has(name: string): boolean }, random: (n: number) => number): string {
  const start = random(0x10000);
  for (let i = 0; i < 0x10000; i++) {
    const name = `sand${((start + i) & 0xffff).toString(16).padStart(4, "0")}`;
    if (!used.has(name)) return name;
  }
  throw new Refusal("exhausted", "all 65536 names that a veth can have are in use");
}

/**
 * Plans that an endpoint is active.
 *
 * @throws Refusal "not-found" when the host does not own it, "forbidden" when it is active in another namespace.
 */
export function planActivate(
  view: View,
  id: string,
  hostname: string,
  activation: Activation,
): Planned<EndpointRecord> {
  const endpoint = findEndpoint(view, id, hostname);
  const { record, active } = endpoint;
  if (active && record.target_netns_path !== activation.targetNetnsPath) {
    throw new Refusal(
      "forbidden",
      `endpoint ${id} is active in ${
        record.target_netns_path || "a namespace of Docker's"
      }: deactivate it first`,
    );
  }
  return update(view, endpoint, activeFields(activation));
}

/** Plans that an endpoint is inactive: it keeps its address. Throws Refusal "not-found" when the host does not own it. */
export function planDeactivate(view: View, id: string, hostname: string): Planned<EndpointRecord> {
  return update(view, findEndpoint(view, id, hostname), { target_netns_path: "", active: false });
}

function activeFields(activation: Activation): Partial<EndpointRecord> {
  return {
    target_netns_path: activation.targetNetnsPath,
    overlay_veth_name: activation.overlayVethName,
    overlay_veth_mac: activation.overlayVethMac,
    target_veth_name: activation.targetVethName,
    active: true,
  };
}

function update(view: View, endpoint: Endpoint, fields: Partial<EndpointRecord>): Planned<EndpointRecord> {
  const record = { ...endpoint.record, ...fields } as EndpointRecord;
  const same = (Object.keys(fields) as (keyof EndpointRecord)[])
    .every((field) => record[field] === endpoint.record[field]);
  if (same) return { record: endpoint.record, plan: undefined };
  const step = guarded(endpoint, new Step()).guard(view.guard(view.keys.network(endpoint.network)));
  return { record, plan: putBoth(view, record, step).plan() };
}

export interface DeleteOptions {
  /** The host that deletes, which must own the endpoints; undefined: force, for a host that is gone. */
  readonly hostname: string | undefined;
  /** What earlier attempts of this request found: what is no longer there they deleted. */
  readonly found?: Set<string>;
}

/**
 * Plans the end of endpoints, which gives their addresses back; many in one transaction. Endpoints of a network that is
 * gone, or whose claims cannot be read, go too.
 *
 * @returns Plans to be committed in order.
 * @throws Refusal "not-found" for one that the host does not own.
 */
export function planDeleteEndpoints(
  view: View,
  ids: readonly string[],
  { hostname, found = new Set() }: DeleteOptions,
): readonly Plan[] {
  const going = new Set(ids), networks = new Map<string, Endpoint[]>();
  for (const id of going) {
    if (found.has(id) && !view.endpoint(id)) continue;
    const endpoint = findEndpoint(view, id, hostname);
    found.add(id);
    networks.set(endpoint.network, [...networks.get(endpoint.network) ?? [], endpoint]);
  }
  return [...networks].flatMap(([network, endpoints]) => {
    const claims = claimsOf(view, network);
    const work = new Batch(() => new Step(), claims);
    for (const endpoint of endpoints) {
      if (endpoint.address) claims?.release(endpoint.address, going);
      work.next((step) => {
        guarded(endpoint, step)
          .remove(view.keys.hostEndpoint(endpoint.host, endpoint.id))
          .remove(view.keys.networkEndpoint(endpoint.network, endpoint.id));
      });
    }
    return work.plans();
  });
}

/** Undefined when there is nothing to give addresses back to: that must not keep an endpoint from being deleted. */
function claimsOf(view: View, networkId: string): Claims | undefined {
  const network = view.network(networkId);
  if (!network || !view.allocation(networkId)) return undefined;
  try {
    return new Claims(view, network);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** Plans a claim on an address before there is an endpoint, as Docker asks for it; it lasts for the sweep's grace. */
export function planClaim(view: View, networkId: string, address?: Ip): { address: Ip; plan: Plan } {
  const network = findNetwork(view, networkId), claims = new Claims(view, network);
  const claimed = address ? claims.take(address) : claims.takeLowest();
  const step = new Step().guard(view.guard(view.keys.network(networkId)));
  claims.writeTo(step);
  return { address: claimed, plan: step.plan() };
}

/** Plans that an address without an endpoint is given back; undefined when nothing is to be done. */
export function planRelease(view: View, networkId: string, address: Ip): Plan | undefined {
  const claims = claimsOf(view, networkId), step = new Step();
  claims?.release(address);
  claims?.writeTo(step);
  const plan = step.plan();
  return plan.ops.length ? plan : undefined;
}

/**
 * The endpoint of that id.
 *
 * @param hostname The host that must own it; undefined: any may.
 * @throws Refusal "not-found"
 */
export function findEndpoint(view: View, id: string, hostname?: string): Endpoint {
  const endpoint = view.endpoint(id);
  if (!endpoint) throw new Refusal("not-found", `there is no endpoint "${id}"`);
  if (hostname !== undefined && endpoint.host !== hostname) {
    throw new Refusal(
      "not-found",
      `endpoint ${id} is on ${endpoint.host}, not on ${hostname}: ask that host, or force it if that host is gone`,
    );
  }
  return endpoint;
}

function guarded(endpoint: Endpoint, step: Step): Step {
  return step.guard(...endpoint.entries.map(({ key, modRevision }) => ({ key, modRevision })));
}

function putNew(view: View, record: EndpointRecord, step: Step): void {
  step.guard(view.guard(view.keys.networkEndpoint(record.network_id, record.id)));
  putBoth(view, record, step);
}

function putBoth(view: View, record: EndpointRecord, step: Step): Step {
  const value = writeSandRecord(record);
  return step.put(view.keys.hostEndpoint(record.hostname, record.id), value)
    .put(view.keys.networkEndpoint(record.network_id, record.id), value);
}

/** Gathers endpoints into as few transactions as etcd's limit allows, each with the claims as they are by then. */
class Batch {
  readonly #plans: Plan[] = [];
  #step: Step | undefined;

  constructor(private readonly begin: () => Step, private readonly claims: Claims | undefined) {}

  /** Adds one endpoint. What it claims or gives back is in the claims by now. */
  next(add: (step: Step) => void): void {
    const step = this.#step ??= this.begin();
    add(step);
    if (step.room < ROOM) this.#close(step);
  }

  plans(): Plan[] {
    if (this.#step) this.#close(this.#step);
    return this.#plans;
  }

  #close(step: Step): void {
    this.claims?.writeTo(step);
    this.#plans.push(step.plan());
    this.#step = undefined;
  }
}
