/** Has br0 answer ARP in its endpoints' place, and know behind which port each of them is: {@link ProxyState}. */
import { ENOENT, SystemError } from "../../../ffi/errno.ts";
import {
  changePort,
  findBridgeEntries,
  listBridgeEntries,
  pinMac,
  pinMacs,
  placeOwnMac,
  unpinMacs,
} from "../../../ffi/netlink_bridge.ts";
import { changeLink } from "../../../ffi/netlink_link.ts";
import type { Link } from "../../../ffi/netlink_links.ts";
import { deleteNeighbours, dumpNeighbours, setNeighbours } from "../../../ffi/netlink_neigh.ts";
import type { Failure } from "../../../ffi/netlink_replies.ts";
import { macFromBytes, macToBytes } from "../../common/mac.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { BRIDGE_MAC } from "../../overlay/proxy.ts";
import { BRIDGE, macNumber, type ProxyState, VXLAN } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import { addressesOnly, arpEntries, FOREIGN, macBytes, readPermanent } from "./tables.ts";

/** Veths by their names → the MAC, in text form, that each one's port should be known for. */
export type Pins = ReadonlyMap<string, string>;

/** What br0 answers from; undefined when it is nothing. */
export async function readProxy(
  namespace: NetworkNamespace,
  bridge: Link,
  vxlan: Link | undefined,
): Promise<ProxyState | undefined> {
  const arp = readPermanent(await dumpNeighbours(namespace.netlink, "arp", bridge.index));
  const port = vxlan?.master === bridge.index && vxlan.port?.answered === true;
  if (!port && !arp.size) return undefined;
  const entries = vxlan?.master === bridge.index
    ? await listBridgeEntries(namespace.netlink, vxlan.index)
    : [];
  const own = macNumber(macFromBytes(bridge.mac));
  const placed = entries.some(({ mac, local }) => local && mac === own);
  for (const [address, mac] of arp) if (mac === own) arp.set(address, placed ? BRIDGE_MAC : FOREIGN);
  return { port, arp, fdb: new Set(entries.filter(({ pinned }) => pinned).map(({ mac }) => mac)) };
}

/**
 * Which of br0's ports are known for the MACs that they should be known for, and are not flooded to.
 * @returns the MACs by the ports' indexes
 */
export async function readPins(
  namespace: NetworkNamespace,
  bridge: Link | undefined,
  links: Iterable<Link>,
  pins: Pins,
): Promise<Map<number, string>> {
  const wanted = new Map<number, string>();
  for (const { name, index, master, port } of links) {
    const mac = pins.get(name);
    if (mac && master === bridge?.index && port?.answered && !port.flood) wanted.set(index, mac);
  }
  if (!bridge || !wanted.size) return new Map();
  const found = await findBridgeEntries(
    namespace.netlink,
    bridge.index,
    [...wanted.values()].map(macToBytes),
  );
  const ports = new Map(found.filter(({ pinned }) => pinned).map(({ mac, port }) => [mac, port]));
  return new Map([...wanted].filter(([index, mac]) => ports.get(macNumber(mac)) === index));
}

/** A port that had another MAC is known for this one alone. */
export async function pin({ netlink }: NetworkNamespace, { index, port }: Link, mac: string): Promise<void> {
  if (port?.answered) {
    const others = (await listBridgeEntries(netlink, index))
      .filter((entry) => entry.pinned && entry.mac !== macNumber(mac));
    check(`forget what was behind interface ${index}`, await unpinMacs(netlink, index, bytesOf(others)));
  }
  // The entry first: until it is there, the port is one that is flooded to.
  await netlink.run(pinMac(index, macToBytes(mac)), changePort(index, { flood: false, answered: true }));
}

export async function unpin({ netlink }: NetworkNamespace, { index }: Link, mac: string): Promise<void> {
  await netlink.run(changePort(index, { flood: true, answered: false }));
  check(`forget ${mac}`, await unpinMacs(netlink, index, [macToBytes(mac)]));
}

export async function setProxy(
  namespace: NetworkNamespace,
  op: Extract<KernelOp, { op: "proxy-set" }>,
): Promise<void> {
  const { netlink } = namespace, bridge = namespace.index(BRIDGE);
  if (op.port) await netlink.run(changePort(namespace.index(VXLAN), { answered: true }));
  if (op.fdb.size) {
    check("pin MACs to vxlan0", await pinMacs(netlink, namespace.index(VXLAN), [...op.fdb].map(macBytes)));
  }
  const own = [...op.arp].filter(([, mac]) => mac === BRIDGE_MAC);
  let arp: ReadonlyMap<number, number> = op.arp;
  if (own.length) {
    const mac = await ownMac(namespace), others = readPermanent(await dumpNeighbours(netlink, "arp", bridge));
    // Given the MAC that it has, a bridge keeps it: one that SAND's agent made has a port's, another whenever its ports
    // change. The kernel drops the ARP entries of a link that is given a MAC.
    await netlink.run(changeLink(BRIDGE, { mac }), placeOwnMac(namespace.index(VXLAN), mac));
    const number = macNumber(macFromBytes(mac));
    arp = new Map([...others, ...op.arp, ...own.map(([address]) => [address, number] as const)]);
  }
  if (arp.size) check("change the arp of br0", await setNeighbours(netlink, "arp", bridge, arpEntries(arp)));
}

export async function removeProxy(
  namespace: NetworkNamespace,
  op: Extract<KernelOp, { op: "proxy-remove" }>,
): Promise<void> {
  const { netlink } = namespace;
  if (op.arp.size) {
    const gone = addressesOnly(op.arp);
    check("change the arp of br0", await deleteNeighbours(netlink, "arp", namespace.index(BRIDGE), gone));
  }
  const vxlan = op.fdb.size || op.port ? await namespace.link(VXLAN) : undefined;
  if (!vxlan) return;
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

function check(what: string, [first]: readonly Failure[]): void {
  if (first) throw new SystemError(what, first.errno, first.detail);
}
