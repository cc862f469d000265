/**
 * An uplink connects the host's own namespace with a network's: a veth pair, and a route on the host for each
 * endpoint that it should reach. Endpoints ask for it by `isGateway` (see docs/CNI.md), networks by `egress`: it then has an
 * address in the network's namespace, which what leaves gets there. The end in the host's namespace has none, so that no service of
 * the host has an address for these networks alone.
 */
import { EEXIST, SystemError } from "../../../ffi/errno.ts";
import {
  addAddress,
  addRoute,
  deleteAddress,
  deleteRoute,
  findRoute,
  type KernelRoute,
  listAddresses,
  listRoutes,
  setRoute,
} from "../../../ffi/netlink_address.ts";
import {
  changeForwarding,
  changeLink,
  checkSources,
  deleteLink,
  newVeth,
} from "../../../ffi/netlink_link.ts";
import { findLink, type Link } from "../../../ffi/netlink_links.ts";
import { home } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import { Ip } from "../../common/ip.ts";
import { randomMacBytes } from "../../common/mac.ts";
import { Refusal } from "../../common/refusal.ts";
import { BRIDGE, UPLINK, type UplinkState } from "../../overlay/state.ts";
import { refuseAdvertisements } from "./containment.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/**
 * An interface without ARP sends to its own MAC: both ends have the same one, so that no address has to be resolved.
 */
const ALONE = { arp: false, up: true };
const DEFAULT: Omit<KernelRoute, "link"> = { destination: new Uint8Array(4), prefix: 0 };

/**
 * Reads a network's uplink: a veth pair between the network's namespace and the host's own.
 *
 * @param namespace The network's namespace.
 * @param end The uplink's end there.
 * @param host The host's own namespace.
 */
export async function readUplink(
  namespace: NetworkNamespace,
  end: Link,
  bridge: Link | undefined,
  host: NetworkNamespace,
): Promise<UplinkState | undefined> {
  const other = end.kind === "veth" ? await host.link(end.peer) : undefined;
  if (other?.kind !== "veth" || other.peer !== end.index) return undefined;
  const [inside, outside] = await Promise.all([
    listRoutes(namespace.netlink, end.index),
    listRoutes(host.netlink, other.index),
  ]);
  const right = [end, other].every(({ arp, up, forwarding }) => !arp && up && forwarding);
  const addresses = (await listAddresses(namespace.netlink, end.index))
    .filter(({ address }) => address.length === 4).map(({ address }) => `${new Ip(4, address)}`);
  const routes = new Set(outside.filter(isOne).map(({ destination }) => `${new Ip(4, destination)}`));
  const isSingle = addresses.every((address) => routes.delete(address)) && addresses.length === 1;
  const isChecked = bridge?.checksSources ?? false;
  return {
    name: other.name,
    mtu: end.mtu === other.mtu ? end.mtu : 0,
    sound: right && `${end.mac}` === `${other.mac}` && (bridge?.forwarding ?? false) &&
      inside.some(isDefault),
    routes,
    ...addresses.length ? { transfer: isSingle && isChecked ? addresses[0] : "" } : {},
  };
}

function isDefault({ destination, prefix, gateway }: KernelRoute): boolean {
  return destination.length === 4 && prefix === 0 && gateway === undefined;
}

function isOne({ destination, prefix }: KernelRoute): boolean {
  return destination.length === 4 && prefix === 32;
}

/**
 * Creates an uplink that {@link readUplink} reports as sound, after deleting what remains of an earlier one. IP
 * forwarding is enabled on the host, for packets from elsewhere to containers and their answers.
 */
export async function addUplink(
  namespace: NetworkNamespace,
  host: NetworkNamespace,
  name: string,
  mtu: number,
  transfer?: string,
): Promise<void> {
  await namespace.netlink.run(deleteLink(UPLINK));
  await host.netlink.run(deleteLink(name));
  const mac = randomMacBytes();
  await namespace.netlink.run(newVeth({ name: UPLINK, mtu, mac }, { name, mtu, mac, namespace: home }));
  await setUplink(namespace, host, name, mtu, transfer);
  setSysctl("net/ipv4/ip_forward", "1");
}

/** Sets everything that a sound uplink needs. */
export async function setUplink(
  namespace: NetworkNamespace,
  host: NetworkNamespace,
  name: string,
  mtu: number,
  transfer?: string,
): Promise<void> {
  namespace.forget(UPLINK);
  const index = namespace.index(UPLINK), { mac, index: outside } = await linkOf(host, name);
  refuseAdvertisements(namespace.fd, UPLINK);
  refuseAdvertisements(host.fd, name);
  await host.netlink.run(changeLink(name, { ...ALONE, mtu }), changeForwarding(name, true));
  await namespace.netlink.run(
    changeLink(UPLINK, { ...ALONE, mtu, mac }),
    changeForwarding(UPLINK, true),
    changeForwarding(BRIDGE, true),
  );
  await setTransfer(namespace, index, host, outside, transfer);
}

/** Gives the uplink this address alone, or none, and the host the route to it. */
async function setTransfer(
  namespace: NetworkNamespace,
  inside: number,
  host: NetworkNamespace,
  outside: number,
  transfer: string | undefined,
): Promise<void> {
  const wanted = transfer === undefined ? undefined : Ip.parse(transfer).bytes;
  const others = (await listAddresses(namespace.netlink, inside))
    .filter(({ address }) => address.length === 4 && `${address}` !== `${wanted}`);
  const routeTo = (destination: Uint8Array) => ({ destination, prefix: 32, link: outside });
  await host.netlink.run(...others.map(({ address }) => deleteRoute(routeTo(address))));
  // With a link's last address the kernel deletes its routes.
  await namespace.netlink.run(...others.map(deleteAddress), setRoute({ ...DEFAULT, link: inside }));
  if (!wanted) return;
  // Else a machine could send with any source; the answers would go nowhere.
  await namespace.netlink.run(
    checkSources(BRIDGE),
    addAddress({ link: inside, address: wanted, prefix: 32 }),
  );
  await host.netlink.run(setRoute(routeTo(wanted)));
}

/** Deletes the uplink with the routes over it, so that host and network are separated again. */
export async function removeUplink(namespace: NetworkNamespace): Promise<void> {
  await namespace.netlink.run(deleteLink(UPLINK), changeForwarding(BRIDGE, false));
  namespace.forget(UPLINK);
}

/**
 * Adds the host's route to an endpoint's address, unless it exists.
 *
 * @throws Refusal "exists" when the host reaches the address elsewhere already
 */
export async function addUplinkRoute(host: NetworkNamespace, name: string, address: string): Promise<void> {
  const { bytes } = Ip.parse(address), { index } = await linkOf(host, name);
  const way = await findRoute(host.netlink, bytes);
  if (way?.link === index && way.prefix === 32) return;
  // A directly connected address must stay reachable: it may be the gateway by which the host reaches everything
  // else.
  const taken = way && (way.own || (way.prefix > 0 && !way.gateway));
  if (taken) throw await refused(host, address, way.link);
  try {
    await host.netlink.run(addRoute({ destination: bytes, prefix: 32, link: index }));
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === EEXIST)) throw error;
    throw await refused(host, address, (await findRoute(host.netlink, bytes))?.link, error);
  }
}

/** Deletes the route, if it exists. */
export async function removeUplinkRoute(
  host: NetworkNamespace,
  name: string,
  address: string,
): Promise<void> {
  const link = await host.link(name);
  if (!link) return;
  await host.netlink.run(deleteRoute({ destination: Ip.parse(address).bytes, prefix: 32, link: link.index }));
}

async function linkOf(host: NetworkNamespace, name: string): Promise<Link> {
  const link = await host.link(name);
  if (!link) throw new Error(`there is no ${name} in the host's namespace`);
  return link;
}

async function refused(
  host: NetworkNamespace,
  address: string,
  by: number | undefined,
  cause?: unknown,
): Promise<Refusal> {
  const other = by === undefined ? undefined : await findLink(host.netlink, by);
  const message =
    `isGateway: this host has ${address} behind ${other?.name ?? "another interface"} already: ` +
    `give the container another address or the network another range, or set isGateway to false`;
  return new Refusal("exists", message, { cause });
}
