import { EEXIST, SystemError } from "../../../ffi/errno.ts";
import {
  addRoute,
  deleteRoute,
  findRoute,
  listRoutes,
  type Route,
  setRoute,
} from "../../../ffi/netlink_address.ts";
import { changeForwarding, changeLink, deleteLink, newVeth } from "../../../ffi/netlink_link.ts";
import { findLink, type Link } from "../../../ffi/netlink_links.ts";
import { home } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import { Ip } from "../../common/ip.ts";
import { randomMacBytes } from "../../common/mac.ts";
import { Refusal } from "../../common/refusal.ts";
import { BRIDGE, UPLINK, type UplinkState } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/** An end without ARP sends to its own MAC: both have the same one, so that nobody has to be asked. */
const ALONE = { arp: false, up: true };
const DEFAULT: Omit<Route, "link"> = { destination: new Uint8Array(4), prefix: 0 };

/**
 * What there is of a uplink.
 *
 * @param namespace the network's namespace
 * @param end its link of that name
 * @param host the host's own namespace
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
  return {
    name: other.name,
    mtu: end.mtu === other.mtu ? end.mtu : 0,
    sound: right && `${end.mac}` === `${other.mac}` && (bridge?.forwarding ?? false) &&
      inside.some(isDefault),
    routes: new Set(outside.filter(isOne).map(({ destination }) => `${new Ip(4, destination)}`)),
  };
}

function isDefault({ destination, prefix, gateway }: Route): boolean {
  return destination.length === 4 && prefix === 0 && gateway === undefined;
}

function isOne({ destination, prefix }: Route): boolean {
  return destination.length === 4 && prefix === 32;
}

/**
 * Makes a uplink that {@link readUplink} finds sound. What is left of one goes. The host forwards packets from then on: what
 * comes from elsewhere for a container, and its answers.
 */
export async function addUplink(
  namespace: NetworkNamespace,
  host: NetworkNamespace,
  name: string,
  mtu: number,
): Promise<void> {
  await namespace.netlink.run(deleteLink(UPLINK));
  await host.netlink.run(deleteLink(name));
  const mac = randomMacBytes();
  await namespace.netlink.run(newVeth({ name: UPLINK, mtu, mac }, { name, mtu, mac, namespace: home }));
  await setUplink(namespace, host, name, mtu);
  setSysctl("net/ipv4/ip_forward", "1");
}

/** Puts right whatever is not sound. */
export async function setUplink(
  namespace: NetworkNamespace,
  host: NetworkNamespace,
  name: string,
  mtu: number,
): Promise<void> {
  namespace.forget(UPLINK);
  const index = namespace.index(UPLINK), { mac } = await linkOf(host, name);
  await host.netlink.run(changeLink(name, { ...ALONE, mtu }), changeForwarding(name, true));
  await namespace.netlink.run(
    changeLink(UPLINK, { ...ALONE, mtu, mac }),
    changeForwarding(UPLINK, true),
    changeForwarding(BRIDGE, true),
    setRoute({ ...DEFAULT, link: index }),
  );
}

/** Takes it away with the routes over it: the network is apart from its host again. */
export async function removeUplink(namespace: NetworkNamespace): Promise<void> {
  await namespace.netlink.run(deleteLink(UPLINK), changeForwarding(BRIDGE, false));
  namespace.forget(UPLINK);
}

/**
 * Gives the host a route to an endpoint's address, which it may have already.
 *
 * @throws Refusal "exists" when the address is, for the host, another one's
 */
export async function addUplinkRoute(host: NetworkNamespace, name: string, address: string): Promise<void> {
  const { bytes } = Ip.parse(address), { index } = await linkOf(host, name);
  const way = await findRoute(host.netlink, bytes);
  if (way?.link === index && way.prefix === 32) return;
  // A neighbour of the host's is not to be taken from it, perhaps the very one that it reaches everybody else by.
  const taken = way && (way.own || (way.prefix > 0 && !way.gateway));
  if (taken) throw await refused(host, address, way.link);
  try {
    await host.netlink.run(addRoute({ destination: bytes, prefix: 32, link: index }));
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === EEXIST)) throw error;
    throw await refused(host, address, (await findRoute(host.netlink, bytes))?.link, error);
  }
}

/** Takes it away, which may have happened already. */
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
