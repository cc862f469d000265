/**
 * Derives the settings of a network's gateway from the network's records in etcd: its address, its domain, and
 * whether it answers DNS and DHCP.
 */
import { Cidr } from "../../common/ip.ts";
import { networkFault } from "../../overlay/faults.ts";
import type { OverlayView } from "../../overlay/view.ts";
import { toldRecord } from "../../overlay_names/effective.ts";
import { SETTINGS_ROOM } from "../../overlay_names/gateway_messages.ts";
import type { NetworkRecord, SettingsRecord } from "../../store/sand_records.ts";
import type { NexNetworkRecord } from "../../store/records.ts";
import type { Gateway } from "./connection.ts";
import type { GatewayServices } from "./sockets.ts";

/** DHCP's option of an interface's MTU (RFC 2132 §5.1), and the MTU that machines have without it. */
const MTU_OPTION = 26, USUAL_MTU = 1500;
/** The longest domain name, in characters (RFC 1035 §2.3.4). */
const LONGEST_NAME = 253;

/** The settings of a gateway, as etcd has them. */
export type WantedGateway = Omit<Gateway, "sockets">;

export interface GatewayOptions {
  /** The TTL of every record, in seconds. */
  readonly ttl: number;
  /** The network's MTU on this host, where it is known. */
  readonly mtu: number | undefined;
}

/** The protocols that a gateway answers. */
export function answeredOf({ dns, dhcp }: WantedGateway): GatewayServices {
  return { dns, dhcp: dhcp !== undefined };
}

/** True for gateways that answer the same. */
export function isSameGateway(a: WantedGateway, b: WantedGateway): boolean {
  return a.domain === b.domain && a.ttl === b.ttl && a.dns === b.dns && a.forward === b.forward &&
    a.dhcp === b.dhcp &&
    a.address.toString() === b.address.toString();
}

/**
 * The settings of the network's gateway by etcd; undefined where it answers neither DNS nor DHCP.
 *
 * @param onTooLong Called with the network's name where its settings have too many characters for DHCP, and how many.
 */
function wantedGateway(
  view: OverlayView,
  network: string,
  { ttl, mtu }: GatewayOptions,
  onTooLong: (name: string, length: number) => void,
): WantedGateway | undefined {
  const record = view.network(network), { settings } = view.space(network);
  const dns = settings?.overlay.dns !== false;
  if (!record || !settings || (!dns && settings.overlay.dhcp === false)) return undefined;
  const address = Cidr.tryParse(record.gateway);
  if (!address || view.isPartial(network) || networkFault(record) !== undefined) return undefined;
  const { domain = "" } = settings.network, dhcp = dhcpOf(record, settings, mtu, onTooLong);
  if (!dns && dhcp === undefined) return undefined;
  const forward = dns && settings.overlay.forward === true;
  return { address, domain: domain.length > LONGEST_NAME ? "" : domain, ttl, dns, forward, dhcp };
}

/** The settings of DHCP as text; undefined where it is switched off. */
function dhcpOf(
  record: NetworkRecord,
  settings: SettingsRecord,
  mtu: number | undefined,
  onTooLong: (name: string, length: number) => void,
): string | undefined {
  if (settings.overlay.dhcp === false) return undefined;
  const { name } = settings.network;
  const text = JSON.stringify(withMtu(toldRecord({ name, record, settings }), mtu));
  if (text.length <= SETTINGS_ROOM) return text;
  onTooLong(name, text.length);
  return undefined;
}

/** Packets of machines with a larger MTU than the network's would be lost. An MTU option that was set stays. */
function withMtu(record: NexNetworkRecord, mtu = USUAL_MTU): NexNetworkRecord {
  const { options = [] } = record;
  if (mtu >= USUAL_MTU || options.some(({ number }) => number === MTU_OPTION)) return record;
  return { ...record, options: [...options, { number: MTU_OPTION, value: `${mtu}` }] };
}

/** The settings that were derived for a network's record, with the other inputs. */
interface Found {
  readonly settings: SettingsRecord | undefined;
  readonly isPartial: boolean;
  readonly ttl: number;
  readonly mtu: number | undefined;
  readonly wanted: WantedGateway | undefined;
}

/**
 * {@link wantedGateway} of networks whose records are the same as before: each is asked for again at each comparison and each
 * look at this host's state, and its settings are long.
 */
export class WantedGateways {
  readonly #found = new WeakMap<NetworkRecord, Found>();

  of(...[view, network, options, onTooLong]: Parameters<typeof wantedGateway>): WantedGateway | undefined {
    const record = view.network(network), { settings } = view.space(network), { ttl, mtu } = options;
    if (!record) return undefined;
    const isPartial = view.isPartial(network), known = this.#found.get(record);
    if (
      known?.settings === settings && known?.isPartial === isPartial && known.ttl === ttl && known.mtu === mtu
    ) {
      return known.wanted;
    }
    let isWhole = true;
    const wanted = wantedGateway(view, network, options, (...about) => {
      isWhole = false;
      onTooLong(...about);
    });
    // A problem is reported again each time, so it is not remembered.
    if (isWhole) this.#found.set(record, { settings, isPartial, ttl, mtu, wanted });
    return wanted;
  }
}
