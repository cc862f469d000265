/** Lists endpoints and hosts of overlay networks from etcd: where each endpoint is, and which changes each host has applied. */
import type { Endpoint, Host, MessageInput } from "../../proto/types.ts";
import { expiryOf, kindOf } from "../overlay/endpoint_kind.ts";
import type { Space } from "../overlay/space.ts";
import type { OverlayEndpoint } from "../overlay/overlay_endpoint.ts";
import type { NameClaimRecord } from "../store/sand_records.ts";
import { ownName } from "./names.ts";

/** Hosts that have something in a network: what each says to have applied; undefined: it does not say. */
export type Reports = ReadonlyMap<string, number | undefined>;

/** The reports of a network. A host without an endpoint is leaving the network, and has nothing to apply. */
export function reportsOf(space: Space): Reports {
  const reports = new Map<string, number | undefined>();
  for (const host of space.hosts.keys()) {
    if (!space.endpointsOn(host).size) continue;
    reports.set(host, space.isSilent(host) ? undefined : space.applied.get(host) ?? 0);
  }
  return reports;
}

/** The hosts of a network in the order of what they have applied: they are asked for each of many endpoints which are behind. */
export class HostsBehind {
  readonly count: number;
  /** Hosts that do not say. The list is shared by all endpoints, as are those of {@link before}. */
  readonly silent: string[];
  /** The others, and the revisions that they have applied, ascending. */
  readonly #hosts: readonly (readonly [host: string, applied: number])[];
  /** By how many are behind. */
  readonly #lists = new Map<number, string[]>([[0, []]]);

  constructor(reports: Reports) {
    this.count = reports.size;
    this.silent = [...reports].flatMap(([host, applied]) => applied === undefined ? host : []).sort();
    this.#hosts = [...reports].flatMap(([host, applied]) =>
      applied === undefined ? [] : [[host, applied] as const]
    )
      .sort(([, a], [, b]) => a - b);
  }

  /** The hosts that have not applied a revision. */
  before(revision: number): string[] {
    let low = 0, high = this.#hosts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#hosts[middle]?.[1] ?? 0) < revision) low = middle + 1;
      else high = middle;
    }
    let list = this.#lists.get(low);
    if (!list) this.#lists.set(low, list = this.#hosts.slice(0, low).map(([host]) => host).sort());
    return list;
  }
}

/** An endpoint with the hosts that have applied it, and those that have not. @param net The name of its network. */
export function endpointTo(
  net: string,
  space: Space,
  endpoint: OverlayEndpoint,
  hosts: HostsBehind,
): MessageInput<Endpoint> {
  const { id, address, mac, host, vtep, record, active, modified } = endpoint;
  const pending = hosts.before(modified), { silent } = hosts;
  return {
    id,
    net,
    name: ownName(space, endpoint) ?? "",
    address: address?.toString() ?? "",
    mac: mac ?? "",
    host,
    vtep: vtep?.toString() ?? "",
    kind: kindOf(record),
    expires: timeOf(expiryOf(record)),
    active,
    hosts: hosts.count,
    applied: hosts.count - pending.length - silent.length,
    pending,
    silent,
  };
}

/** The facts about a host that its networks' records have. */
export interface HostState {
  vtep: string;
  networks: number;
  endpoints: number;
  applied: number;
  behind: number;
  silent: boolean;
}

/** The state of a host of which nothing is known yet. */
export function noHostState(): HostState {
  return { vtep: "", networks: 0, endpoints: 0, applied: 0, behind: 0, silent: false };
}

/**
 * Counts endpoints of a network that were written after a revision. It is asked for each of many hosts, most of which have applied
 * all there is.
 */
export function endpointsSince(
  { endpoints }: Space,
): { readonly newest: number; count(revision: number): number } {
  let newest = 0, written: Float64Array | undefined;
  for (const { modified } of endpoints.values()) if (modified > newest) newest = modified;
  const count = (revision: number) => {
    if (revision >= newest) return 0;
    written ??= Float64Array.from(endpoints.values(), ({ modified }) => modified).sort();
    let low = 0, high = written.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((written[middle] ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return written.length - low;
  };
  return { newest, count };
}

/** Adds what a network says of each of its hosts. */
export function addHosts(space: Space, of: (host: string) => HostState): void {
  const reports = reportsOf(space), since = endpointsSince(space);
  for (const host of space.hosts.keys()) {
    const state = of(host), applied = reports.get(host);
    state.networks++;
    if (space.isSilent(host)) state.silent = true;
    state.applied = Math.max(state.applied, space.applied.get(host) ?? 0);
    if (applied === undefined) continue;
    state.behind += since.count(applied);
  }
  for (const { host, vtep } of space.endpoints.values()) {
    const state = of(host);
    state.endpoints++;
    state.vtep ||= vtep?.toString() ?? "";
  }
}

/** A host, with the claim that its agent has on its name while it runs. */
export function hostTo(
  name: string,
  state: HostState,
  claim: NameClaimRecord | undefined,
): MessageInput<Host> & { name: string } {
  const { vtep, ...counts } = state, since = Date.parse(claim?.since ?? "");
  return {
    name,
    vtep: claim?.host_ip || vtep,
    version: claim?.version ?? "",
    ...counts,
    running: claim !== undefined,
    silent: counts.silent && claim === undefined,
    since: timeOf(Number.isFinite(since) ? Math.floor(since / 1000) : undefined),
  };
}

/** The endpoints of a network by address. */
export function sorted({ endpoints }: Space): OverlayEndpoint[] {
  return [...endpoints.values()].sort((a, b) => a.hot.address - b.hot.address || (a.id < b.id ? -1 : 1));
}

/** @param seconds Since the epoch. */
export function timeOf(seconds: number | undefined): { seconds: number; nanos: number } | null {
  return seconds === undefined ? null : { seconds, nanos: 0 };
}
