/**
 * The nf_tables rules in the host's namespace for networks with egress: packets that leave a network get the host's
 * address (source NAT), and of those that come in only answers pass. Rules of other programs are neither read nor
 * changed.
 */
import {
  countIn,
  end,
  type Expression,
  isEqual,
  loadMeta,
  loadPayload,
  masked,
  masquerade,
  META_FAMILY,
  META_TRANSPORT,
  NETWORK_HEADER,
  type Rule,
  TRANSPORT_HEADER,
} from "../../../ffi/nftables_expressions.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import { VXLAN_PORT } from "../../overlay/state.ts";
import type { OverlayView } from "../../overlay/view.ts";
import {
  cameBy,
  type Chain,
  clamp,
  isAnswer,
  isNotRedirected,
  isOfNone,
  leavesBy,
} from "../kernel/egress.ts";

/** The prefix of all networks' uplink names: see uplinkName(). */
export const UPLINKS = "sandh";
/** IPv4 link-local addresses, which no router forwards to (RFC 3927 §7): cloud providers have machines' credentials there. */
const LINK_LOCAL = Cidr.parse("169.254.0.0/16");

const ACCEPT = end("accept");
/**
 * Counters of packets that networks send to the world: what comes in, what is refused here, and what leaves the host. What is
 * missing in the end was dropped between this table's chains, by rules of others of whatever kind.
 */
export const COUNTERS = ["begun", "refused", "passed"] as const;
const [BEGUN, REFUSED, PASSED] = COUNTERS.map(countIn) as [Expression, Expression, Expression];
const DROP = end("drop"), REFUSE = [REFUSED, DROP];
export const FROM_NETWORKS = cameBy(UPLINKS, false), TO_NETWORKS = leavesBy(UPLINKS, false);
const IPV4 = [loadMeta(META_FAMILY), isEqual(2)];

/** The UDP ports of VXLAN that hosts of this cluster may have. @param own The port of networks that this host makes. */
export function vxlanPorts(view: OverlayView, own: number): Set<number> {
  const ports = new Set([VXLAN_PORT, own]);
  for (const { strand_vxlan_port: port } of view.networks()) if (port !== undefined) ports.add(port);
  return ports;
}

/** The ports that machines do not reach, since the hosts' own programs use them: etcd and the API of the agent. */
export interface ControlPlane {
  /** TCP ports of any address of the host. */
  readonly ports: readonly number[];
  /** IPv4 addresses of etcd elsewhere, of which the same ports are not reached. */
  readonly addresses: readonly string[];
}

/** etcd's ports for clients and members. */
const ETCD_PORTS = [2379, 2380];

/** @param endpoints URLs of etcd. Those with a name stand for their port alone. */
export function controlPlane(apis: readonly number[], endpoints: readonly string[]): ControlPlane {
  const ports = new Set([...apis, ...ETCD_PORTS]), addresses = new Set<string>();
  for (const endpoint of endpoints) {
    const url = URL.parse(endpoint), ip = Ip.tryParse(url?.hostname ?? "");
    if (url) ports.add(Number(url.port) || (url.protocol === "https:" ? 443 : 80));
    if (ip?.family === 4) addresses.add(`${ip}`);
  }
  return { ports: [...ports].sort((a, b) => a - b), addresses: [...addresses].sort() };
}

export interface HostRules {
  /** The range of transfer addresses. */
  readonly pool: Cidr;
  /** UDP ports of VXLAN: a machine could else send frames into any network, as this host. */
  readonly vxlanPorts: readonly number[];
  /** Undefined: machines may reach it. */
  readonly control: ControlPlane | undefined;
  /** True: the host forwards for the networks alone. */
  readonly guards: boolean;
}

/** The chains of the table. */
export function hostChains({ pool, vxlanPorts, control, guards }: HostRules): Chain[] {
  const vxlan = vxlanPorts.map((port): Rule => [
    ...FROM_NETWORKS,
    loadMeta(META_TRANSPORT),
    isEqual(17),
    loadPayload(TRANSPORT_HEADER, 2, 2),
    isEqual(port >> 8, port & 0xff),
  ]);
  const isFrom = isWithin(12, pool), isTo = isWithin(16, pool);
  const controls = (control?.ports ?? []).map((port): Rule => [
    ...[...FROM_NETWORKS, ...IPV4, ...isFrom],
    loadMeta(META_TRANSPORT),
    isEqual(6),
    loadPayload(TRANSPORT_HEADER, 2, 2),
    isEqual(port >> 8, port & 0xff),
  ]);
  const elsewhere = (control?.addresses ?? []).flatMap((address) =>
    controls.map((rule): Rule => [
      ...rule,
      loadPayload(NETWORK_HEADER, 16, 4),
      isEqual(...Ip.parse(address).bytes),
    ])
  );
  return [
    {
      name: "input",
      hook: { at: "input", priority: 0 },
      rules: [...vxlan, ...controls].map((rule) => [...rule, DROP]),
    },
    // Before the chains of others, and after them.
    {
      name: "begun",
      hook: { at: "forward", priority: -300 },
      rules: [[...FROM_NETWORKS, ...IPV4, ...isFrom, BEGUN]],
    },
    {
      name: "passed",
      hook: { at: "postrouting", priority: 50 },
      rules: [[...IPV4, ...isFrom, PASSED]],
    },
    {
      name: "forward",
      hook: { at: "forward", priority: 0 },
      rules: [
        [...FROM_NETWORKS, ...clamp],
        [...TO_NETWORKS, ...clamp],
        ...[...vxlan, ...elsewhere].map((rule): Rule => [...rule, ...REFUSE]),
        [...FROM_NETWORKS, ...IPV4, ...isFrom, ...isWithin(16, LINK_LOCAL), ...REFUSE],
        [...FROM_NETWORKS, ...IPV4, ...isFrom, ...isOfNone, ...REFUSE],
        // Where CNI gives the host a route to a container, other networks have none by it.
        [...FROM_NETWORKS, ...TO_NETWORKS, ...IPV4, ...isFrom, ...isNotRedirected, ...REFUSE],
        [...TO_NETWORKS, ...IPV4, ...isTo, ...isAnswer, ACCEPT],
        [...TO_NETWORKS, ...IPV4, ...isTo, DROP],
        ...guards ? [[...FROM_NETWORKS, ACCEPT], [...TO_NETWORKS, ACCEPT], [...IPV4, DROP]] : [],
      ],
    },
    {
      name: "postrouting",
      hook: { at: "postrouting", priority: 100, type: "nat" },
      // To an uplink only what portmap has redirected there, perhaps to the very network that it came from, which would
      // not take a packet with its own address.
      rules: [[...IPV4, ...isFrom, masquerade()]],
    },
  ];
}

/** Goes on where the IPv4 address at this offset of the header is in the range. */
function isWithin(offset: number, range: Cidr): Rule {
  const mask = Array.from(
    { length: 4 },
    (_, i) => 0xff00 >> Math.min(8, Math.max(0, range.prefix - 8 * i)) & 0xff,
  );
  return [loadPayload(NETWORK_HEADER, offset, 4), masked(...mask), isEqual(...range.first.bytes)];
}
