/**
 * Makes br0 answer ARP on behalf of its endpoints, and pins each port to its endpoint's MAC, so that neither ARP nor
 * unknown unicast is flooded: see {@link ProxyState}.
 */
import { ENOENT, SystemError } from "../../../ffi/errno.ts";
import {
  type BridgeEntry,
  changePort,
  findBridgeEntries,
  listBridgeEntries,
  pinMac,
  pinMacs,
  placeOwnMac,
  unpinMacs,
} from "../../../ffi/netlink_bridge.ts";
import type { Netlink } from "../../../ffi/netlink.ts";
import { changeLink } from "../../../ffi/netlink_link.ts";
import type { Link } from "../../../ffi/netlink_links.ts";
import { deleteNeighbours, dumpNeighbours, setNeighbours } from "../../../ffi/netlink_neigh.ts";
import type { NetlinkFailure } from "../../../ffi/netlink_replies.ts";
import { macFromBytes, macToBytes } from "../../common/mac.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { BRIDGE_MAC } from "../../overlay/proxy.ts";
import { BRIDGE, macNumber, PARTLY_PINNED, type ProxyState, UPLINK, VXLAN } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import { addressesOnly, arpEntries, FOREIGN, macBytes, readPermanent } from "./tables.ts";

/** Name of a veth → the MAC, as text, that its port should be pinned to. */
export type Pins = ReadonlyMap<string, string>;

/**
 * Reads from which entries br0 answers, and what is pinned to vxlan0's port; undefined when there is nothing of either.
 * @param entries br0's permanent ARP entries, address → MAC.
 * @param behind The bridge's entries for that port, without learned ones.
 */
export function readProxy(
  bridge: Link,
  vxlan: Link | undefined,
  entries: ReadonlyMap<number, number>,
  behind: readonly BridgeEntry[],
): ProxyState | undefined {
  const arp = new Map(entries);
  const isPort = vxlan?.master === bridge.index, port = isPort && vxlan.port?.answered === true;
  const closed = isPort && vxlan.port?.flood === false;
  // Also where br0 answers for no address any more: an entry that stayed would send frames to vxlan0 for ever.
  const fdb = new Set(isPort ? behind.filter(({ pinned }) => pinned).map(({ mac }) => mac) : []);
  if (!port && !closed && !arp.size && !fdb.size) return undefined;
  const own = macNumber(macFromBytes(bridge.mac));
  const placed = behind.some(({ mac, local }) => local && mac === own);
  for (const [address, mac] of arp) if (mac === own) arp.set(address, placed ? BRIDGE_MAC : FOREIGN);
  return { port, arp, fdb, ...closed && { closed } };
}

/**
 * Reads which ports of br0 are pinned to their MACs, answered for and not flooded to.
 * @returns the MACs by the ports' indexes, or {@link PARTLY_PINNED} for a port to which only a part of that applies
 */
export async function readPins(
  namespace: NetworkNamespace,
  bridge: Link | undefined,
  links: Iterable<Link>,
  pins: Pins,
): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  if (bridge?.kind !== "bridge") return found;
  const ports = [...links].filter(({ master, port, name }) =>
    master === bridge.index && port && name !== VXLAN && name !== UPLINK
  );
  const macs = ports.flatMap(({ name }) => pins.get(name) ?? []);
  const entries = macs.length
    ? await findBridgeEntries(namespace.netlink, bridge.index, macs.map(macToBytes))
    : [];
  const behind = new Map(entries.filter(({ pinned }) => pinned).map(({ mac, port }) => [mac, port]));
  for (const { name, index, port } of ports) {
    const mac = pins.get(name), isBehind = mac !== undefined && behind.get(macNumber(mac)) === index;
    if (isBehind && port?.answered && !port.flood) found.set(index, mac);
    else if (isBehind || port?.answered || !port?.flood) found.set(index, PARTLY_PINNED);
  }
  return found;
}

/** Pins a port to a MAC, and removes its other pinned MACs. */
export async function pin({ netlink }: NetworkNamespace, { index, port }: Link, mac: string): Promise<void> {
  if (port?.answered) await forgetPinned(netlink, index, macNumber(mac));
  // The entry comes first: without it, frames for the MAC must still be flooded to the port.
  await netlink.run(pinMac(index, macToBytes(mac)), changePort(index, { flood: false, answered: true }));
}

/** Unpins a MAC from a port, or, without a MAC, everything that is pinned to it. */
export async function unpin(
  { netlink }: NetworkNamespace,
  { index }: Link,
  mac: string | undefined,
): Promise<void> {
  await netlink.run(changePort(index, { flood: true, answered: false }));
  if (mac === undefined) await forgetPinned(netlink, index);
  else check(`forget ${mac}`, await unpinMacs(netlink, index, [macToBytes(mac)]));
}

async function forgetPinned(netlink: Netlink, index: number, except?: number): Promise<void> {
  const pinned = (await listBridgeEntries(netlink, index))
    .filter((entry) => entry.pinned && entry.mac !== except);
  check(`forget what was behind interface ${index}`, await unpinMacs(netlink, index, bytesOf(pinned)));
}

/** Makes the bridge answer ARP for a network's endpoints, and pins MACs of other hosts' endpoints to vxlan0. */
export async function setProxy(
  namespace: NetworkNamespace,
  op: Extract<KernelOp, { op: "proxy-set" }>,
): Promise<void> {
  const { netlink } = namespace, bridge = namespace.index(BRIDGE);
  if (op.port) await netlink.run(changePort(namespace.index(VXLAN), { answered: true }));
  if (op.fdb.size) {
    check("pin MACs to vxlan0", await pinMacs(netlink, namespace.index(VXLAN), [...op.fdb].map(macBytes)));
  }
  // The entries come first: without them, frames for other hosts must still be flooded to the port.
  if (op.closed) await netlink.run(changePort(namespace.index(VXLAN), { flood: false }));
  const own = [...op.arp].filter(([, mac]) => mac === BRIDGE_MAC);
  let arp: ReadonlyMap<number, number> = op.arp;
  if (own.length) {
    const mac = await ownMac(namespace), others = readPermanent(await dumpNeighbours(netlink, "arp", bridge));
    // A bridge keeps a MAC that was set, even to the one it has; a bridge that SAND's agent made has a port's MAC,
    // which changes with its ports. The kernel drops the ARP entries of a link whose MAC is set.
    await netlink.run(changeLink(BRIDGE, { mac }), placeOwnMac(namespace.index(VXLAN), mac));
    const number = macNumber(macFromBytes(mac));
    arp = new Map([...others, ...op.arp, ...own.map(([address]) => [address, number] as const)]);
  }
  if (arp.size) check("change the arp of br0", await setNeighbours(netlink, "arp", bridge, arpEntries(arp)));
}

/** Removes entries by which the bridge answers ARP, and MACs that are pinned to vxlan0. */
export async function removeProxy(
  namespace: NetworkNamespace,
  op: Extract<KernelOp, { op: "proxy-remove" }>,
): Promise<void> {
  const { netlink } = namespace;
  if (op.arp.size) {
    const gone = addressesOnly(op.arp);
    check("change the arp of br0", await deleteNeighbours(netlink, "arp", namespace.index(BRIDGE), gone));
  }
  const vxlan = op.fdb.size || op.port || op.closed ? await namespace.link(VXLAN) : undefined;
  if (!vxlan) return;
  if (op.closed && vxlan.port) await netlink.run(changePort(vxlan.index, { flood: true }));
  if (op.fdb.size) {
    check("forget MACs behind vxlan0", await unpinMacs(netlink, vxlan.index, [...op.fdb].map(macBytes)));
  }
  if (op.port && vxlan.port) await netlink.run(changePort(vxlan.index, { answered: false }));
}

async function ownMac(namespace: NetworkNamespace): Promise<Uint8Array> {
  const link = await namespace.link(BRIDGE);
  if (!link) throw new SystemError(`look for ${BRIDGE}`, ENOENT);
  return link.mac;
}

function bytesOf(entries: readonly { readonly mac: number }[]): Uint8Array[] {
  return entries.map(({ mac }) => macBytes(mac));
}

function check(what: string, [first]: readonly NetlinkFailure[]): void {
  if (first) throw new SystemError(what, first.errno, first.detail);
}
