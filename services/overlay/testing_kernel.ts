/** A model of the kernel for tests: it applies operations to a network's state. */
import type { KernelOp } from "./ops.ts";
import {
  type NetworkState,
  PARTLY_PINNED,
  type PeerState,
  type ProxyState,
  type UplinkState,
  type VethState,
} from "./state.ts";

/** Applies one operation to a state as the kernel does; throws where the kernel would refuse. */
export function perform(state: NetworkState | undefined, op: KernelOp): NetworkState | undefined {
  if (op.op === "namespace-add") {
    if (state) throw new Error("EEXIST");
    const none = { veths: new Map(), arp: new Map(), fdb: new Map(), flood: new Set<number>() };
    return { loopbackUp: false, bridge: undefined, vxlan: undefined, ...none };
  }
  if (!state) throw new Error(`${op.op} without a namespace`);
  const { bridge, vxlan } = state;
  switch (op.op) {
    case "namespace-remove":
      return undefined;
    case "loopback-up":
      return { ...state, loopbackUp: true };
    case "bridge-add":
      if (bridge) throw new Error("EEXIST");
      return { ...state, bridge: { up: false, mtu: op.mtu, addresses: [] } };
    case "bridge-set":
      return { ...state, bridge: { ...there(bridge), ...fields(op) } };
    case "bridge-address-add":
      return { ...state, bridge: { ...there(bridge), addresses: [...there(bridge).addresses, op.address] } };
    case "bridge-address-remove":
      return {
        ...state,
        bridge: { ...there(bridge), addresses: there(bridge).addresses.filter((a) => a !== op.address) },
      };
    case "vxlan-add": {
      if (vxlan) throw new Error("EEXIST");
      const fresh = { proxy: true, rootUnderlay: true, learning: false, inBridge: false, up: false };
      return { ...state, vxlan: { ...op.vxlan, ...fresh } };
    }
    case "vxlan-remove":
      there(vxlan);
      return {
        ...withProxy(state, { port: false, closed: undefined, fdb: new Set() }),
        vxlan: undefined,
        arp: new Map(),
        fdb: new Map(),
        flood: new Set(),
      };
    case "vxlan-set":
      if (op.inBridge) there(bridge);
      return { ...state, vxlan: { ...there(vxlan), ...fields(op) } };
    case "veth-add": {
      if (state.veths.has(op.name)) throw new Error("EEXIST");
      const peer = { ...op.peer, addresses: [], up: false };
      const end = op.hostEnd === undefined ? {} : { hostEnd: op.hostEnd };
      return withVeth(state, op.name, { mtu: op.mtu, inBridge: false, up: false, ...end, peer });
    }
    case "veth-remove": {
      const veths = new Map(state.veths);
      if (!veths.delete(op.name)) throw new Error("ENODEV");
      return { ...state, veths };
    }
    case "veth-set":
      if (op.inBridge) there(bridge);
      return withVeth(state, op.name, { ...there(state.veths.get(op.name)), ...fields(op) });
    case "veth-unpin": {
      const { pinned, ...veth } = there(state.veths.get(op.name));
      if (pinned !== (op.mac ?? PARTLY_PINNED)) throw new Error("ENOENT");
      return withVeth(state, op.name, veth);
    }
    case "peer-set": {
      const veth = there(state.veths.get(op.veth)), peer = there(veth.peer);
      if (peer.netns !== op.netns || peer.name !== op.at) throw new Error("ENODEV");
      const { addAddresses = [], ...set } = fields(op);
      const addresses = [...peer.addresses, ...addAddresses];
      return withVeth(state, op.veth, { ...veth, peer: { ...peer, ...set, addresses } as PeerState });
    }
    case "host-end-remove":
    case "port-forget":
      return state;
    case "uplink-add":
      there(bridge);
      if (state.uplink) throw new Error("EEXIST");
      return { ...state, uplink: uplinkOf({ name: op.name, routes: new Set() }, op) };
    case "uplink-remove": {
      const { uplink, ...rest } = state;
      there(uplink);
      return rest;
    }
    case "uplink-set":
      there(bridge);
      return { ...state, uplink: uplinkOf(there(state.uplink), op) };
    case "uplink-route-add": {
      const uplink = there(state.uplink);
      if (uplink.name !== op.uplink) throw new Error("ENODEV");
      return { ...state, uplink: { ...uplink, routes: new Set([...uplink.routes, op.address]) } };
    }
    case "uplink-route-remove": {
      const uplink = there(state.uplink), routes = new Set(uplink.routes);
      if (uplink.name !== op.uplink || !routes.delete(op.address)) throw new Error("ESRCH");
      return { ...state, uplink: { ...uplink, routes } };
    }
    case "proxy-set": {
      there(bridge);
      if (!there(vxlan).inBridge && (op.port || op.closed || op.fdb.size)) throw new Error("EINVAL");
      const { port, closed, arp, fdb } = state.proxy ?? NO_PROXY;
      return withProxy(state, {
        port: port || op.port === true,
        closed: closed ?? op.closed,
        arp: new Map([...arp, ...op.arp]),
        fdb: fdb.union(op.fdb),
      });
    }
    case "proxy-remove": {
      const { port, closed, arp, fdb } = state.proxy ?? NO_PROXY;
      const rest = { arp: without(arp, op.arp), fdb: fdb.difference(op.fdb) };
      return withProxy(state, { port: port && !op.port, closed: op.closed ? undefined : closed, ...rest });
    }
    case "containment-add":
      if (state.containment && !op.replaces) throw new Error("EEXIST");
      return { ...state, containment: { rules: op.rules, own: op.add } };
    case "containment-set": {
      const { rules, own } = there(state.containment);
      return { ...state, containment: { rules, own: own.union(op.add) } };
    }
    case "containment-unset": {
      const { rules, own } = there(state.containment);
      if (!op.remove.isSubsetOf(own)) throw new Error("ENOENT");
      return { ...state, containment: { rules, own: own.difference(op.remove) } };
    }
    case "containment-remove": {
      const { containment, ...rest } = state;
      there(containment);
      return rest;
    }
    case "egress-add":
      if (state.egress && !op.replaces) throw new Error("EEXIST");
      return { ...state, egress: op.rules };
    case "egress-remove": {
      const { egress, ...rest } = state;
      there(egress);
      return rest;
    }
    case "arp-set":
      there(vxlan);
      return { ...state, arp: new Map([...state.arp, ...op.entries]) };
    case "fdb-set":
      there(vxlan);
      return { ...state, fdb: new Map([...state.fdb, ...op.entries]) };
    case "arp-remove":
      return { ...state, arp: without(state.arp, op.addresses) };
    case "fdb-remove":
      return { ...state, fdb: without(state.fdb, op.macs) };
    case "flood-set":
      there(vxlan);
      return { ...state, flood: state.flood.union(op.vteps) };
    case "flood-remove":
      return { ...state, flood: new Set() };
    case "broadcast-add":
      if (state.broadcast !== undefined && !op.replaces) throw new Error("EEXIST");
      return { ...state, broadcast: op.limit };
    case "broadcast-remove": {
      const { broadcast, ...rest } = state;
      there(broadcast);
      return rest;
    }
  }
}

/** Splits operations into single rows and addresses, the smallest steps at which a batch can be interrupted. */
export function singly(ops: readonly KernelOp[]): KernelOp[] {
  return ops.flatMap((op): KernelOp[] => {
    switch (op.op) {
      case "arp-set":
      case "fdb-set":
        return [...op.entries].map((entry) => ({ op: op.op, entries: new Map([entry]) }));
      case "arp-remove":
        return [...op.addresses].map((address) => ({ op: op.op, addresses: new Set([address]) }));
      case "fdb-remove":
        return [...op.macs].map((mac) => ({ op: op.op, macs: new Set([mac]) }));
      case "proxy-set":
        return [
          ...op.port || op.closed ? [{ ...op, arp: new Map(), fdb: new Set<number>() }] : [],
          ...[...op.fdb].map((mac): KernelOp => ({ op: op.op, arp: new Map(), fdb: new Set([mac]) })),
          ...[...op.arp].map((entry): KernelOp => ({ op: op.op, arp: new Map([entry]), fdb: new Set() })),
        ];
      case "proxy-remove":
        return [
          ...[...op.arp].map((address): KernelOp => ({ op: op.op, arp: new Set([address]), fdb: new Set() })),
          ...[...op.fdb].map((mac): KernelOp => ({ op: op.op, arp: new Set(), fdb: new Set([mac]) })),
          ...op.port || op.closed ? [{ ...op, arp: new Set<number>(), fdb: new Set<number>() }] : [],
        ];
      case "containment-set":
        return [...op.add].map((element) => ({ op: op.op, add: new Set([element]) }));
      case "containment-unset":
        return [...op.remove].map((element) => ({ op: op.op, remove: new Set([element]) }));
      case "flood-set":
        return [...op.vteps].map((vtep) => ({ op: op.op, vteps: new Set([vtep]) }));
      case "vxlan-set":
      case "bridge-set":
        return Object.entries(fields(op)).map(([key, value]) => ({ op: op.op, [key]: value }) as KernelOp);
      case "veth-set":
        return Object.entries(fields(op)).map(([key, value]) =>
          ({ op: op.op, name: op.name, [key]: value }) as KernelOp
        );
      default:
        return [op];
    }
  });
}

function fields<T extends KernelOp>({ op: _, ...rest }: T): Fields<T> {
  const set: Record<string, unknown> = { ...rest };
  const isPeer = "at" in set;
  for (const key of isPeer ? ["veth", "netns", "at"] : ["name"]) delete set[key];
  return set as Fields<T>;
}

const NO_PROXY: ProxyState = { port: false, arp: new Map(), fdb: new Set() };

/** Sets parts of the proxy state; an empty one is absent. */
function withProxy(state: NetworkState, change: Partial<ProxyState>): NetworkState {
  const { proxy, ...rest } = state, { closed, ...after } = { ...proxy ?? NO_PROXY, ...change };
  if (!after.port && !closed && !after.arp.size && !after.fdb.size) return rest;
  return { ...rest, proxy: { ...after, ...closed && { closed } } };
}

function uplinkOf(
  { name, routes }: Pick<UplinkState, "name" | "routes">,
  { mtu, transfer }: { readonly mtu: number; readonly transfer?: string },
): UplinkState {
  return { name, mtu, sound: true, routes, ...transfer === undefined ? {} : { transfer } };
}

function withVeth(state: NetworkState, name: string, veth: VethState): NetworkState {
  return { ...state, veths: new Map([...state.veths, [name, veth]]) };
}

function without(table: ReadonlyMap<number, number>, keys: ReadonlySet<number>): Map<number, number> {
  return new Map([...table].filter(([key]) => !keys.has(key)));
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("ENODEV");
  return value;
}

/** The fields that an operation sets, without those that identify the device. */
type Fields<T> = T extends { op: "peer-set" } ? Omit<T, "op" | "veth" | "netns" | "at">
  : Omit<T, "op" | "name">;
