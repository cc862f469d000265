/**
 * Lists the endpoints and hosts of overlay networks from etcd, for networks with a name and for those that SAND or
 * Docker made. A network is followed only while a request is about it.
 */
import type { Endpoint, Host, MessageInput, RunningLease } from "../../proto/types.ts";
import { Refusal } from "../common/refusal.ts";
import { expiryOf, kindOf } from "../overlay/endpoint_kind.ts";
import type { Space } from "../overlay/space.ts";
import type { OverlayView } from "../overlay/view.ts";
import {
  addHosts,
  endpointTo,
  HostsBehind,
  type HostState,
  hostTo,
  noHostState,
  reportsOf,
  sorted,
  timeOf,
} from "../overlay_names/attached.ts";
import { ownName } from "../overlay_names/names.ts";
import { confirm } from "../store/change.ts";
import type { ChangeStore } from "../store/change_store.ts";
import type { NetworkRecord, SandRecord } from "../store/sand_records.ts";
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
    private readonly view: OverlayView,
    /** True where a network without an overlay has the name. */
    private readonly isFlat: (name: string) => boolean,
  ) {}

  /** The endpoints of a network, or of all, by network and address. Throws Refusal. */
  endpoints(network: string): Promise<MessageInput<Endpoint>[]> {
    return this.#reading(network, (networks) =>
      networks.flatMap(({ name, space }) => {
        const hosts = new HostsBehind(reportsOf(space));
        return sorted(space).map((endpoint) => endpointTo(name, space, endpoint, hosts));
      }));
  }

  /** The leases of a network's machines, or of those of all networks. */
  leases(network: string): Promise<MessageInput<RunningLease>[]> {
    return this.#reading(
      network,
      (networks) =>
        networks.flatMap(({ name, space }) =>
          sorted(space).filter(({ record }) => kindOf(record) === "dhcp").map((
            endpoint,
          ): MessageInput<RunningLease> => ({
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
  hosts(network: string): Promise<MessageInput<Host>[]> {
    return this.#reading(network, async (networks) => {
      const claims = await this.store.nameClaims();
      const found = new Map<string, HostState>();
      const of = (name: string) => {
        let state = found.get(name);
        if (!state) found.set(name, state = noHostState());
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

  /** The networks with this name or id, or else the networks that SAND has under this name. */
  #idsOf(network: string): string[] {
    const { view } = this, named = view.networkNamed(network);
    if (named !== undefined && view.network(named)) return [named];
    const id = network.toLowerCase();
    if (view.network(id)) return [id];
    return [...view.networks()].filter(({ name }) => name === network).map((record) => record.id);
  }
}
