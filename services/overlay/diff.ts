/** Compares a network's kernel state with the desired one, and returns the operations between them. */
import { floodOps } from "./broadcast.ts";
import { containmentOps } from "./containment.ts";
import type { KernelOp } from "./ops.ts";
import { proxyOps } from "./proxy.ts";
import {
  type BridgeState,
  type NetworkState,
  PARTLY_PINNED,
  type PeerState,
  type UplinkState,
  type VethState,
  type VxlanState,
} from "./state.ts";

/**
 * Returns the operations, in order, that bring a network's kernel state on a host from `actual` to `desired`; none when they
 * are equal. State that can be changed in place is not recreated, so that traffic goes on. If the operations are
 * interrupted anywhere, a new diff from there leads to the same state.
 */
export function diff(actual: NetworkState | undefined, desired: NetworkState | undefined): KernelOp[] {
  if (!desired) return actual ? [{ op: "namespace-remove" }] : [];
  const ops: KernelOp[] = [];
  if (!actual) ops.push({ op: "namespace-add" });
  let from = actual ?? EMPTY;
  if (from.vxlan && desired.vxlan && !sameDevice(from.vxlan, desired.vxlan)) {
    ops.push({ op: "vxlan-remove" });
    const proxy = from.proxy &&
      { ...from.proxy, port: false, fdb: new Set<number>(), closed: undefined };
    from = { ...from, vxlan: undefined, arp: EMPTY.arp, fdb: EMPTY.fdb, flood: EMPTY.flood, proxy };
  }
  if (!from.loopbackUp) ops.push({ op: "loopback-up" });
  ops.push(...removedVeths(from.veths, desired.veths));
  ops.push(...bridgeOps(from.bridge, desired.bridge));
  ops.push(...vxlanOps(from.vxlan, desired.vxlan));
  // Packets that pass an uplink are checked before that is made, and until it is gone.
  if (desired.egress && desired.egress !== "edited" && from.egress !== desired.egress) {
    ops.push({ op: "egress-add", rules: desired.egress, replaces: from.egress !== undefined });
  }
  ops.push(...uplinkOps(from.uplink, desired.uplink));
  if (from.egress && !desired.egress) ops.push({ op: "egress-remove" });
  // Frames to every host are limited before they are sent there, and until they are not any more.
  if (desired.broadcast !== undefined && from.broadcast !== desired.broadcast) {
    ops.push({ op: "broadcast-add", limit: desired.broadcast, replaces: from.broadcast !== undefined });
  }
  ops.push(...tableOps(from, desired));
  // The kernel drops a link's ARP entries with its last address.
  const flushed = ops.some(({ op }) => op === "bridge-address-remove");
  ops.push(...proxyOps(from.proxy, desired.proxy, flushed));
  if (from.broadcast !== undefined && desired.broadcast === undefined) ops.push({ op: "broadcast-remove" });
  // A port is checked before it is made.
  ops.push(...containmentOps(from.containment, desired.containment));
  const routes = from.uplink?.name === desired.uplink?.name ? from.uplink?.routes : undefined;
  for (const [name, veth] of desired.veths) {
    ops.push(...vethOps(name, from.veths.get(name), veth), ...routeOps(name, veth, desired.uplink, routes));
  }
  return ops;
}

/** Returns the operations for one endpoint's veth alone. */
export function diffVeth(
  name: string,
  actual: VethState | undefined,
  desired: VethState | undefined,
): KernelOp[] {
  const of = (veth: VethState | undefined) => new Map(veth ? [[name, veth] as const] : []);
  return [...removedVeths(of(actual), of(desired)), ...desired ? vethOps(name, actual, desired) : []];
}

/**
 * Names of missing veths whose other end Docker had moved into a container. The agent cannot create these again, so
 * their endpoints become inactive.
 */
export function lostVeths(actual: NetworkState | undefined, desired: NetworkState): string[] {
  return [...desired.veths].filter(([name, { peer }]) => !peer && !actual?.veths.has(name)).map(([name]) =>
    name
  );
}

const EMPTY: NetworkState = {
  loopbackUp: false,
  bridge: undefined,
  vxlan: undefined,
  veths: new Map(),
  arp: new Map(),
  fdb: new Map(),
  flood: new Set(),
};

/** Compares the settings that the kernel cannot change on an existing device (vxlan_nl2conf, changelink). */
function sameDevice(a: VxlanState, b: VxlanState): boolean {
  return a.vni === b.vni && a.port === b.port && a.proxy === b.proxy && a.rootUnderlay === b.rootUnderlay;
}

function bridgeOps(actual: BridgeState | undefined, desired: BridgeState | undefined): KernelOp[] {
  if (!desired) return [];
  const ops: KernelOp[] = [];
  if (!actual) ops.push({ op: "bridge-add", mtu: desired.mtu });
  const from = actual ?? { up: false, mtu: desired.mtu, addresses: [] };
  for (const address of from.addresses) {
    if (!desired.addresses.includes(address)) ops.push({ op: "bridge-address-remove", address });
  }
  for (const address of desired.addresses) {
    if (!from.addresses.includes(address)) ops.push({ op: "bridge-address-add", address });
  }
  const set = { ...mtuOf(from, desired), ...upOf(from, desired) };
  if (Object.keys(set).length) ops.push({ op: "bridge-set", ...set });
  return ops;
}

function vxlanOps(actual: VxlanState | undefined, desired: VxlanState | undefined): KernelOp[] {
  if (!desired) return [];
  const { vni, port, mtu } = desired;
  const ops: KernelOp[] = actual ? [] : [{ op: "vxlan-add", vxlan: { vni, port, mtu } }];
  const from = actual ?? { ...desired, learning: false, inBridge: false, up: false };
  const set = {
    ...from.learning ? { learning: false as const } : {},
    ...mtuOf(from, desired),
    ...inBridgeOf(from, desired),
    ...upOf(from, desired),
  };
  if (Object.keys(set).length) ops.push({ op: "vxlan-set", ...set });
  return ops;
}

function uplinkOps(actual: UplinkState | undefined, desired: UplinkState | undefined): KernelOp[] {
  if (!desired) return actual ? [{ op: "uplink-remove" }] : [];
  const { name, mtu, transfer } = desired,
    link = { name, mtu, ...transfer === undefined ? {} : { transfer } };
  if (actual?.name !== name) {
    return [...actual ? [{ op: "uplink-remove" as const }] : [], { op: "uplink-add", ...link }];
  }
  const isRight = actual.mtu === mtu && actual.sound && actual.transfer === transfer;
  const set: KernelOp[] = isRight ? [] : [{ op: "uplink-set", ...link }];
  const gone = [...actual.routes].filter((address) => !desired.routes.has(address));
  return [...gone.map((address) => ({ op: "uplink-route-remove" as const, uplink: name, address })), ...set];
}

/** The host's routes to an endpoint that are missing. */
function routeOps(
  veth: string,
  { peer }: VethState,
  uplink: UplinkState | undefined,
  there: ReadonlySet<string> = new Set(),
): KernelOp[] {
  if (!uplink) return [];
  return (peer?.addresses ?? []).map((address) => address.slice(0, address.indexOf("/")))
    .filter((address) => uplink.routes.has(address) && !there.has(address))
    .map((address) => ({ op: "uplink-route-add", veth, uplink: uplink.name, address }));
}

/** A host answers ARP only while it can deliver frames: ARP entries are removed before FDB entries, and added after them. */
function tableOps(actual: NetworkState, desired: NetworkState): KernelOp[] {
  const ops: KernelOp[] = [];
  const addresses = missing(actual.arp, desired.arp), macs = missing(actual.fdb, desired.fdb);
  if (addresses.size) ops.push({ op: "arp-remove", addresses });
  if (macs.size) ops.push({ op: "fdb-remove", macs });
  ops.push(...floodOps(actual.flood, desired.flood));
  const fdb = changed(actual.fdb, desired.fdb), arp = changed(actual.arp, desired.arp);
  if (fdb.size) ops.push({ op: "fdb-set", entries: fdb });
  if (arp.size) ops.push({ op: "arp-set", entries: arp });
  return ops;
}

function missing(actual: ReadonlyMap<number, number>, desired: ReadonlyMap<number, number>): Set<number> {
  const gone = new Set<number>();
  for (const key of actual.keys()) if (!desired.has(key)) gone.add(key);
  return gone;
}

function changed(actual: ReadonlyMap<number, number>, desired: ReadonlyMap<number, number>) {
  const entries = new Map<number, number>();
  for (const [key, value] of desired) if (actual.get(key) !== value) entries.set(key, value);
  return entries;
}

function removedVeths(
  actual: ReadonlyMap<string, VethState>,
  desired: ReadonlyMap<string, VethState>,
): KernelOp[] {
  const ops: KernelOp[] = [];
  for (const [name, veth] of actual) {
    const wanted = desired.get(name);
    if (!wanted || !reaches(veth, wanted)) ops.push({ op: "veth-remove", name });
  }
  return ops;
}

/** True when both ends are in the right namespaces: an end that was moved elsewhere cannot be moved back. */
function reaches(actual: VethState, desired: VethState): boolean {
  return !desired.peer || (actual.peer?.netns === desired.peer.netns && actual.hostEnd === desired.hostEnd);
}

function vethOps(name: string, actual: VethState | undefined, desired: VethState): KernelOp[] {
  const { peer, mac, mtu } = desired;
  let from = actual && reaches(actual, desired) ? actual : undefined;
  const ops: KernelOp[] = [];
  if (!from) {
    // A missing veth without a peer cannot be created again: see lostVeths().
    if (!peer) return [];
    const { hostEnd } = desired;
    const ends = {
      ...mac === undefined ? {} : { mac },
      mtu,
      ...hostEnd === undefined ? {} : { hostEnd },
      peer,
    };
    ops.push({ op: "veth-add", name, ...ends });
    from = {
      mac,
      mtu,
      inBridge: false,
      up: false,
      pinned: undefined,
      peer: { ...peer, addresses: [], up: false },
    };
  }
  const set = {
    ...mac === undefined || from.mac === mac ? {} : { mac },
    ...mtuOf(from, desired),
    ...inBridgeOf(from, desired),
    ...upOf(from, desired),
    ...desired.pinned === undefined || from.pinned === desired.pinned ? {} : { pinned: desired.pinned },
  };
  if (from.pinned !== undefined && desired.pinned === undefined) {
    ops.push({ op: "veth-unpin", name, ...from.pinned === PARTLY_PINNED ? {} : { mac: from.pinned } });
  }
  if (Object.keys(set).length) ops.push({ op: "veth-set", name, ...set });
  if (from.peer) ops.push(...peerOps(name, from.peer, peer ?? { ...from.peer, mtu, routes: [] }));
  return ops;
}

function peerOps(veth: string, actual: PeerState, desired: PeerState): KernelOp[] {
  const addAddresses = desired.addresses.filter((address) => !actual.addresses.includes(address));
  // The kernel deletes an interface's routes with its address, and when the interface goes down.
  const routesGone = desired.routes?.length && (addAddresses.length || !actual.up);
  const set = {
    ...actual.name === desired.name ? {} : { name: desired.name },
    ...desired.mac === "" || actual.mac === desired.mac ? {} : { mac: desired.mac },
    ...mtuOf(actual, desired),
    ...addAddresses.length ? { addAddresses } : {},
    ...routesGone ? { addRoutes: desired.routes } : {},
    ...upOf(actual, desired),
  };
  return Object.keys(set).length
    ? [{ op: "peer-set", veth, netns: actual.netns, at: actual.name, ...set }]
    : [];
}

function mtuOf(actual: { mtu: number }, desired: { mtu: number }): { mtu?: number } {
  return actual.mtu === desired.mtu ? {} : { mtu: desired.mtu };
}

function inBridgeOf(actual: { inBridge: boolean }, desired: { inBridge: boolean }): { inBridge?: true } {
  return desired.inBridge && !actual.inBridge ? { inBridge: true } : {};
}

function upOf(actual: { up: boolean }, desired: { up: boolean }): { up?: true } {
  return desired.up && !actual.up ? { up: true } : {};
}
