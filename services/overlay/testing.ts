/** Fixtures for tests of overlay plans: a network, endpoints, and a store in memory. */
import { MemoryStore } from "../store/memory_store.ts";
import { SandKeys } from "../store/sand_keys.ts";
import {
  type EndpointRecord,
  type NetworkRecord,
  type SandRecord,
  sandSchema,
} from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import type { NetworkState, PeerState, VethState } from "./state.ts";
import { OverlayView } from "./view.ts";

/** The network of most tests. */
export const network: NetworkRecord = {
  id: "320a669f-e465-4806-ab46-f2e6620c4311",
  created_at: "2018-03-01T10:11:12.123456789+01:00",
  name: "blue",
  type: "overlay",
  ns_handle_path: "/var/run/netns/sc-ns-320a669f-e465-4806-ab46-f2e6620c4311",
  vxlan_vni: 1,
  ip_range: "10.0.0.0/24",
  gateway: "10.0.0.1/24",
};

/** A network's state in the kernel, with the vxlan device of that VNI and these parts in place of empty ones. */
export function networkState(
  { vni, mtu }: { readonly vni: number; readonly mtu: number },
  parts: Partial<NetworkState> = {},
): NetworkState {
  return {
    loopbackUp: true,
    bridge: { up: true, mtu, addresses: ["10.0.0.1/24"] },
    vxlan: {
      vni,
      port: 4789,
      proxy: true,
      rootUnderlay: true,
      learning: false,
      mtu,
      inBridge: true,
      up: true,
    },
    veths: new Map(),
    arp: new Map(),
    fdb: new Map(),
    flood: new Set(),
    ...parts,
  };
}

/** A veth to the container with the address 10.0.0.2. */
export function vethState({ netns, name, mtu }: Pick<PeerState, "netns" | "name" | "mtu">): VethState {
  const addresses = ["10.0.0.2/24"], mac = "02:84:0a:00:00:02";
  return { mtu, inBridge: true, up: true, peer: { netns, name, mac, addresses, mtu, up: true } };
}

/** An endpoint of that network, as it is stored. */
export function endpointRecord(id: string, fields: Partial<EndpointRecord> = {}): EndpointRecord {
  return {
    id,
    network_id: network.id,
    hostname: "h1",
    host_ip: "192.0.2.1",
    api_hostname: "h1",
    created_at: "2018-03-01T10:11:12.123456789Z",
    target_netns_path: "",
    overlay_veth_name: "",
    overlay_veth_mac: "",
    target_veth_name: "",
    target_veth_mac: "",
    target_veth_ip: "",
    active: false,
    ...fields,
  };
}

/** A store in memory with a view on it: plans are committed at once. */
export function lab() {
  const keys = new SandKeys();
  const store = new MemoryStore<SandRecord>(sandSchema(keys));
  const view = new OverlayView(store.mirror, keys);
  return {
    keys,
    store,
    view,
    /** Commits plans in order, each seeing what the ones before it wrote; false when one conflicts. */
    commit(plans: Plan | readonly Plan[] | undefined): boolean {
      const own = new Map<string, number>(), prefixes = new Map<string, number>();
      for (const plan of plans === undefined ? [] : "ops" in plans ? [plans] : plans) {
        const guards = plan.guards.map((g) => ({ ...g, modRevision: own.get(g.key) ?? g.modRevision }));
        const prefixGuards = plan.prefixGuards?.map(({ prefix, unchangedSince }) => ({
          prefix,
          unchangedSince: Math.max(unchangedSince, prefixes.get(prefix) ?? 0),
        })) ?? [];
        const outcome = store.write({ ...plan, guards, prefixGuards });
        if (!outcome.committed) return false;
        for (const { prefix } of prefixGuards) prefixes.set(prefix, outcome.revision);
        for (const op of plan.ops) {
          if ("put" in op) own.set(op.put, outcome.revision);
          else own.set(op.remove, 0);
        }
      }
      return true;
    },
    /** Writes as another process would, each key in its own transaction. */
    put(values: Record<string, unknown>): void {
      for (const [put, value] of Object.entries(values)) {
        const ops = [value === undefined ? { remove: put } : { put, value: JSON.stringify(value) }];
        store.write({ guards: [], ops });
      }
    },
    /** Writes both keys of an endpoint. */
    putEndpoint(record: EndpointRecord): void {
      this.put({
        [keys.hostEndpoint(record.hostname, record.id)]: record,
        [keys.networkEndpoint(record.network_id, record.id)]: record,
      });
    },
    json: (key: string) => JSON.parse(store.values.get(key)?.value ?? "null"),
    keysUnder: (prefix: string) => [...store.values.keys()].filter((key) => key.startsWith(prefix)).sort(),
  };
}
