/**
 * What is attached to overlay networks, and the hosts that have them, as etcd has it: of networks with a name and of those that
 * SAND or Docker made. A network is followed while a request is about it.
 */
import type { Endpoint, Host, RunningLease, Sent } from "../../proto/types.ts";
import { Refusal } from "../common/refusal.ts";
import { expiryOf, kindOf } from "../overlay/endpoint_kind.ts";
import type { OverlayEndpoint, Space } from "../overlay/space.ts";
import type { View } from "../overlay/view.ts";
import { ownName } from "../overlay_names/names.ts";
import { type ChangeStore, confirm } from "../store/change.ts";
import type { NameClaimRecord, NetworkRecord, SandRecord } from "../store/sand_records.ts";
import type { SandStore } from "../store/sand_store.ts";

/** A network with the name that it is shown by. */
interface Shown {
  readonly name: string;
  readonly record: NetworkRecord;
  readonly space: Space;
}

/** Answers for GetEndpoints, GetHosts and GetLeases. */
export class AttachedMachines {
  constructor(
    private readonly store: ChangeStore<SandRecord> & Pick<SandStore, "holdAll" | "nameClaims">,
    private readonly view: View,
    /** True where a network without an overlay has the name. */
    private readonly isFlat: (name: string) => boolean,
  ) {}

  /** The endpoints of a network, or of all, by network and address. Throws Refusal. */
  endpoints(network: string): Promise<Sent<Endpoint>[]> {
    return this.#reading(network, (networks) =>
      networks.flatMap(({ name, space }) => {
        const hosts = reportsOf(space);
        return sorted(space).map((endpoint) => endpointTo(name, space, endpoint, hosts));
      }));
  }

  /** The leases of a network's machines, or of those of all networks. */
  leases(network: string): Promise<Sent<RunningLease>[]> {
    return this.#reading(
      network,
      (networks) =>
        networks.flatMap(({ name, space }) =>
          sorted(space).filter(({ record }) => kindOf(record) === "dhcp").map((
            endpoint,
          ): Sent<RunningLease> => ({
            net: name,
            name: ownName(space, endpoint) ?? "",
            address: endpoint.address?.toString() ?? "",
            mac: endpoint.mac ?? "",
            expires: timeOf(expiryOf(endpoint.record)),
            host: endpoint.host,
          }))
        ),
    );
  }

  /** The hosts of a network; or of all, and then those as well whose agents have no network. */
  hosts(network: string): Promise<Sent<Host>[]> {
    return this.#reading(network, async (networks) => {
      const claims = await this.store.nameClaims();
      const found = new Map<string, HostState>();
      const of = (name: string) => {
        let state = found.get(name);
        if (!state) {
          found.set(
            name,
            state = { vtep: "", networks: 0, endpoints: 0, applied: 0, behind: 0, silent: false },
          );
        }
        return state;
      };
      for (const { space } of networks) addHosts(space, of);
      if (!network) { for (const name of claims.keys()) of(name); }
      return [...found].map(([name, state]) => hostTo(name, state, claims.get(name)))
        .sort((a, b) => a.name < b.name ? -1 : 1);
    });
  }

  /** True for what is the name or id of an overlay network. */
  has(network: string): boolean {
    return this.#idsOf(network).length > 0;
  }

  async #reading<T>(network: string, read: (networks: Shown[]) => T | Promise<T>): Promise<T> {
    const ids = network ? [await this.#find(network)] : [...this.view.networks()].map(({ id }) => id);
    const release = ids.length ? await this.store.holdAll(ids) : () => {};
    try {
      const names = new Map([...this.view.networkNames()].map(([name, id]) => [id, name]));
      return await read(
        ids.flatMap((id) => {
          const record = this.view.network(id);
          return record ? [{ name: names.get(id) ?? record.name, record, space: this.view.space(id) }] : [];
        }).sort((a, b) => a.name < b.name ? -1 : 1),
      );
    } finally {
      release();
    }
  }

  /** The id of the one network that is meant. Throws Refusal "not-found", "forbidden" or "conflict". */
  async #find(network: string): Promise<string> {
    if (!this.has(network)) await confirm(this.store);
    const [id, ...others] = this.#idsOf(network);
    if (id === undefined) {
      if (this.isFlat(network)) {
        throw new Refusal(
          "forbidden",
          `network ${network} has no overlay, and no endpoints: its members are its machines`,
        );
      }
      throw new Refusal("not-found", `there is no network "${network}"`);
    }
    if (!others.length) return id;
    throw new Refusal(
      "conflict",
      `several networks are called ${network}: name one by its id, ${[id, ...others].join(", ")}`,
    );
  }

  /** The networks that commands call so, or that have this id, or else those that SAND calls so. */
  #idsOf(network: string): string[] {
    const { view } = this, named = view.networkNamed(network);
    if (named !== undefined && view.network(named)) return [named];
    const id = network.toLowerCase();
    if (view.network(id)) return [id];
    return [...view.networks()].filter(({ name }) => name === network).map((record) => record.id);
  }
}

/** Hosts that have something in a network: what each says to have applied; undefined: it does not say. */
type Reports = ReadonlyMap<string, number | undefined>;

/** A host without an endpoint is leaving the network, and has nothing to apply. */
function reportsOf(space: Space): Reports {
  const reports = new Map<string, number | undefined>();
  for (const host of space.hosts.keys()) {
    if (!space.endpointsOn(host).size) continue;
    reports.set(host, space.isSilent(host) ? undefined : space.applied.get(host) ?? 0);
  }
  return reports;
}

function endpointTo(net: string, space: Space, endpoint: OverlayEndpoint, hosts: Reports): Sent<Endpoint> {
  const { id, address, mac, host, vtep, record, active, modified } = endpoint;
  const pending: string[] = [], silent: string[] = [];
  for (const [host, applied] of hosts) {
    if (applied === undefined) silent.push(host);
    else if (applied < modified) pending.push(host);
  }
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
    hosts: hosts.size,
    applied: hosts.size - pending.length - silent.length,
    pending: pending.sort(),
    silent: silent.sort(),
  };
}

interface HostState {
  vtep: string;
  networks: number;
  endpoints: number;
  applied: number;
  behind: number;
  silent: boolean;
}

function addHosts(space: Space, of: (host: string) => HostState): void {
  const reports = reportsOf(space);
  for (const host of space.hosts.keys()) {
    const state = of(host), applied = reports.get(host);
    state.networks++;
    if (space.isSilent(host)) state.silent = true;
    state.applied = Math.max(state.applied, space.applied.get(host) ?? 0);
    if (applied === undefined) continue;
    for (const { modified } of space.endpoints.values()) if (modified > applied) state.behind++;
  }
  for (const { host, vtep } of space.endpoints.values()) {
    const state = of(host);
    state.endpoints++;
    state.vtep ||= vtep?.toString() ?? "";
  }
}

function hostTo(
  name: string,
  state: HostState,
  claim: NameClaimRecord | undefined,
): Sent<Host> & { name: string } {
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

function sorted({ endpoints }: Space): OverlayEndpoint[] {
  return [...endpoints.values()].sort((a, b) => a.hot.address - b.hot.address || (a.id < b.id ? -1 : 1));
}

function timeOf(seconds: number | undefined): { seconds: number; nanos: number } | null {
  return seconds === undefined ? null : { seconds, nanos: 0 };
}
