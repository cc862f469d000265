/** Formats networks and endpoints as the tables that `sand-agent-cli` prints. */
import type { Endpoint, Network } from "../../services/agent/client/types.ts";
import { printable } from "../output.ts";

/** `[ID] NAME (overlay VNI: V)`, and behind it what is the matter with the network. */
export function networkRow(network: Network): string {
  const { id, name, type, vxlan_vni, broken, deleting, pending_hosts: hosts = [] } = network;
  const trouble = [
    ...deleting ? [` being deleted${hosts.length ? `, waits for ${hosts.join(", ")}` : ""}`] : [],
    ...broken === undefined ? [] : [` broken: ${broken}`],
  ];
  return printable(`[${id}] ${name} (${type} VNI: ${vxlan_vni})${trouble.join(",")}`);
}

/** `id=ID name=N type=overlay ip-range=CIDR, vni=V` */
export function networkDetails({ id, name, type, ip_range, vxlan_vni }: Network): string {
  return printable(`id=${id} name=${name} type=${type} ip-range=${ip_range}, vni=${vxlan_vni}`);
}

/** `[ACTIVE]  ID=… networkID=… hostname=… IP=… NS=…`, or the same of a passive one, which is in no namespace. */
export function endpointRow(endpoint: Endpoint): string {
  const { id, network_id, hostname, target_veth_ip, target_netns_path, active } = endpoint;
  const common = `ID=${id} networkID=${network_id} hostname=${hostname} IP=${target_veth_ip}`;
  return printable(active ? `[ACTIVE]  ${common} NS=${target_netns_path}` : `[PASSIVE] ${common}`);
}
