/** The names of one overlay network as DNS zones, in a table of the network's own. */
import { Cidr, type Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { GatewayNetwork } from "../overlay_names/gateway_messages.ts";
import type { Epochs } from "../dnsd/table.ts";
import { TableWriter } from "../dnsd/table_writer.ts";
import { Zones } from "../dnsd/zones.ts";

/**
 * The zones of one network: its domain and the reverse zone of its range. In a network without a domain each name is a zone
 * of its own, since a resolver that knows no domain asks for a single label.
 */
export class NetworkZones {
  readonly table: TableWriter;
  readonly #zones: Zones;
  readonly #network: GatewayNetwork;

  /** @param onBlock as for {@link TableWriter} */
  constructor(network: GatewayNetwork, onBlock: (block: SharedArrayBuffer) => void, epochs: Epochs) {
    this.table = new TableWriter(onBlock, epochs);
    this.#zones = new Zones(this.table);
    this.#network = network;
    const { domain } = network;
    this.#setZone("", { domain, subnets: [aroundOf(network.gateway)] });
  }

  /** Sets all addresses of a label; none: it is gone. @throws Refusal "invalid" for a label that is none */
  set(label: string, addresses: readonly Ip[]): void {
    if (label.includes(".")) throw new Refusal("invalid", `"${label}" is not one label`);
    const { domain } = this.#network, zones = this.#zones;
    const name = domain === "" ? label : `${label}.${domain}`;
    if (domain === "" && addresses.length) this.#setZone(label, { domain: label, subnets: [] });
    if (addresses.length) zones.setName(name, addresses);
    else zones.deleteName(name);
    if (domain === "" && !addresses.length) zones.deleteNetwork(label);
  }

  /** Makes what was set visible to queries. @param serial of the zones */
  publish(serial: number): void {
    this.#zones.publish(serial);
  }

  #setZone(name: string, zone: { readonly domain: string; readonly subnets: readonly Cidr[] }): void {
    const { gateway, ttl } = this.#network;
    this.#zones.setNetwork({ name, ...zone, nameservers: [gateway.address], ttl });
  }
}

/**
 * The range whose reverse zone is the network's. An overlay network is an address space of its own, so that one zone can be
 * answered, up to the next dot of its name, where a range on a LAN needs one for each address.
 */
function aroundOf({ first, prefix }: Cidr): Cidr {
  const around = prefix < 8 ? prefix : Math.min(24, prefix - prefix % 8);
  return Cidr.parse(`${Cidr.parse(`${first}/${around}`).first}/${around}`);
}
