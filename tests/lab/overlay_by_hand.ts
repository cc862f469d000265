/** A network's part of a host's kernel, made with `ip` and `bridge` alone: what Go agents leave, and what ours is compared with. */
import { run } from "./host.ts";
import type { ApiEndpoint, ApiNetwork } from "./overlay_api.ts";
import type { OverlayHost } from "./overlay_host.ts";
import { addressOf } from "./overlay_reference.ts";

export interface ByHandOptions {
  /** Path for the network's namespace (default: where the host's agent would have it). */
  readonly namespace?: string;
  /** Of vxlan0; SAND's agents have it on. */
  readonly learning?: boolean;
  /** SAND's agents have 1450. */
  readonly mtu?: number;
}

/** Makes a network on a host: its active endpoints there, entries for those elsewhere. */
export async function makeByHand(
  host: OverlayHost,
  network: ApiNetwork,
  endpoints: readonly ApiEndpoint[],
  options: ByHandOptions = {},
): Promise<void> {
  const { namespace = host.namespaceOf(network.id), learning = true, mtu = 1450 } = options;
  const active = endpoints.filter((e) => e.active && e.network_id === network.id);
  const here = active.filter(({ hostname }) => hostname === host.name);
  const away = active.filter(({ hostname }) => hostname !== host.name);
  const vxlan = `id ${network.vxlan_vni} dstport 4789 ${learning ? "" : "no"}learning proxy l2miss l3miss`;
  const inside = `nsenter --net=${namespace}`;
  const script = [
    `touch ${namespace}`,
    `unshare --net=${namespace} true`,
    `ip link add sandvx mtu ${mtu} type vxlan ${vxlan}`,
    `ip link set sandvx netns ${namespace} name vxlan0`,
    `${inside} ip link set lo up`,
    `${inside} ip link add br0 mtu ${mtu} type bridge`,
    `${inside} ip address add ${network.gateway} dev br0`,
    `${inside} ip link set br0 up`,
    `${inside} ip link set vxlan0 master br0 mtu ${mtu} up`,
    ...here.flatMap((e) => {
      const { overlay_veth_name: outer, overlay_veth_mac: mac, target_veth_name: inner } = e;
      const target = `nsenter --net=${e.target_netns_path}`;
      return [
        `ip link add ${outer} mtu ${mtu} ${
          mac && `address ${mac}`
        } type veth peer name ${inner} mtu ${mtu} address ${e.target_veth_mac}`,
        `ip link set ${outer} netns ${namespace}`,
        `${inside} ip link set ${outer} master br0 up`,
        `ip link set ${inner} netns ${e.target_netns_path}`,
        `${target} ip address add ${e.target_veth_ip} dev ${inner}`,
        `${target} ip link set ${inner} up`,
      ];
    }),
    ...away.flatMap((e) => [
      `${inside} ip neighbour add ${addressOf(e)} lladdr ${e.target_veth_mac} dev vxlan0 nud permanent`,
      `${inside} bridge fdb add ${e.target_veth_mac} dev vxlan0 dst ${e.host_ip} self permanent`,
    ]),
  ].join("\n");
  await run(host.host.enter(["sh", "-ec", script]));
}

let serial = 0;

/** A network that is in no store, for {@link makeByHand}. */
export function networkByHand(vni: number, ip_range: string, gateway: string): ApiNetwork {
  const id = `00000000-0000-4000-8000-${vni.toString(16).padStart(12, "0")}`;
  return {
    id,
    created_at: "2026-01-01T00:00:00Z",
    name: `net-sc-${id}`,
    type: "overlay",
    ns_handle_path: "",
    vxlan_vni: vni,
    ip_range,
    gateway,
  };
}

/** An active endpoint of such a network, in a container of the host. */
export function endpointByHand(
  network: ApiNetwork,
  host: OverlayHost,
  address: string,
  netns: string,
): ApiEndpoint {
  const n = serial++;
  const name = (side: number) => `sand${(2 * n + side).toString(16).padStart(4, "0")}`;
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return {
    id: `00000000-0000-4000-9000-${n.toString(16).padStart(12, "0")}`,
    network_id: network.id,
    hostname: host.name,
    host_ip: host.ip,
    api_hostname: host.ip,
    created_at: "2026-01-01T00:00:00Z",
    target_netns_path: netns,
    overlay_veth_name: name(0),
    overlay_veth_mac: "",
    target_veth_name: name(1),
    target_veth_mac: ["02", "84", ...bytes].join(":"),
    target_veth_ip: `${address}/${network.ip_range.split("/")[1]}`,
    active: true,
  };
}

/** What the store has of a network and its endpoints, the claims too. */
export function recordsByHand(
  network: ApiNetwork,
  endpoints: readonly ApiEndpoint[],
  bit_set: string,
): Record<string, string> {
  const size = 2 ** (32 - Number(network.ip_range.split("/")[1]));
  const records: Record<string, string> = {
    [`/sc-net/network/${network.id}`]: JSON.stringify(network),
    [`/sc-net/ipalloc/${network.id}`]: JSON.stringify({
      id: network.id,
      address_range: network.ip_range,
      address_count: size,
      bit_set,
    }),
  };
  for (const endpoint of endpoints) {
    const { hostname } = endpoint, value = JSON.stringify(endpoint);
    const presence = JSON.stringify({ id: network.id, created_at: network.created_at });
    records[`/sc-net/node-endpoints/${hostname}/${endpoint.id}`] = value;
    records[`/sc-net/network-endpoints/${network.id}/${endpoint.id}`] = value;
    records[`/sc-net/nodes/${hostname}/networks/${network.id}`] = presence;
    records[`/sc-net/nodes-networks/${network.id}/${hostname}`] = presence;
  }
  return records;
}
