/**
 * Collects what this host has for the path to an address of a network: kernel entries, probes and captured frames,
 * for `strand explain`. Nothing is changed.
 */
import { delay } from "../../common/async.ts";
import { Ip } from "../../common/ip.ts";
import { macFromBytes, tryParseMac } from "../../common/mac.ts";
import { messageOf } from "../../common/refusal.ts";
import { findNetwork } from "../../overlay/networks.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { BRIDGE, type NetworkState } from "../../overlay/state.ts";
import { confirmedRead } from "../../store/change.ts";
import type { PathReport, PortCheck, UnknownMachine } from "./path_report.ts";
import type { Context } from "../context.ts";
import { foreignAt } from "./foreign_frames.ts";
import type { FullPort } from "../gateway/dhcp_admission.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";
import { FOREIGN, macBytes } from "../kernel/tables.ts";
import type { PathExamination } from "../probe/examine.ts";
import type { Workers } from "../reconcile/networks.ts";

/** How long a change that is known here may take until it is applied, in ms, before it counts as missing. */
const APPLIED_WITHIN = 1000;

/** Takes three seconds at most. @throws Refusal "not-found" for an unknown network, "unavailable" */
export async function pathTo(
  context: Context,
  workers: Workers,
  network: string,
  address: Ip,
): Promise<PathReport> {
  const { view, store, kernel, host: { hostname }, prober, storeGuard, ports } = context;
  const record = await confirmedRead(store, () => findNetwork(view, network));
  const space = view.space(network), [endpoint] = space.holdersOf(address.u32);
  const failures: string[] = [], path = context.namespacePath(network);
  const failed = (error: unknown) => void failures.push(messageOf(error));
  // This host publishes a revision some time after applying it, and an event that it has just got it is about to apply.
  const appliedHere = () => Math.max(workers.get(network)?.applied() ?? 0, space.applied.get(hostname) ?? 0);
  const overdue = performance.now() + APPLIED_WITHIN,
    isBehind = () => appliedHere() < (endpoint?.modified ?? 0);
  while (isBehind() && !storeGuard.hold && performance.now() < overdue) await delay(20);
  const isHere = endpoint?.host === hostname, far = isHere ? undefined : endpoint;
  const state = await kernel.network(path).read(new Map());
  const [examined, contained, port] = await Promise.all([
    far && prober.examine(far.host).catch(failed),
    isHere ? containedAt(context, path, endpoint, state).catch(failed) : undefined,
    isHere ? portOf(path, endpoint, state).catch(failed) : undefined,
  ]);
  // An address on the way may be translated.
  const source = (examined ?? {}).source ?? far?.vtep?.toString();
  const admitted = source && await context.vteps.admits(record.vxlan_vni, source).catch(failed);
  const mac = state?.arp.get(address.u32), vtep = state?.fdb.get(endpoint?.hot.mac ?? -1);
  const probed = prober.paths().find(({ peer }) => peer.hostname === endpoint?.host);
  const { pathMtu, ...seen } = examined ?? {}, { inSync, outReason } = store.mirror.state;
  const device = isHere ? endpoint.record.strand_port : undefined;
  return {
    hostname,
    carried: state?.vxlan?.up === true && state.vxlan.inBridge && state.bridge?.up === true,
    mtu: state?.vxlan?.mtu,
    known: endpoint?.modified ?? 0,
    applied: appliedHere(),
    arp: mac === undefined ? undefined : mac === FOREIGN ? "foreign" : macFromBytes(macBytes(mac)),
    fdb: vtep === undefined ? undefined : vtep === FOREIGN ? "foreign" : Ip.from4(vtep).toString(),
    port: port ?? undefined,
    over: device && ports.over(device),
    netns: isHere ? namespaceOf(endpoint) : undefined,
    reachable: examined ? examined.answers : probed?.reachable,
    pathMtu: examined?.answers ? pathMtu : probed?.pathMtu,
    examined: examined ? seen as Omit<PathExamination, "pathMtu"> : undefined,
    admitted: admitted || admitted === false ? admitted : undefined,
    contained: contained ?? undefined,
    hold: storeGuard.hold?.reason,
    store: inSync ? undefined : outReason ?? "it is reading all of it again",
    problems: [
      ...workers.get(network)?.problems ?? [],
      ...ports.problemsOf(network, endpoint?.mac, device),
      ...failures,
    ],
  };
}

/**
 * Collects what this host knows of a name, address or MAC that no endpoint has.
 * @param full The ports of this host that have no more leases.
 * @throws Refusal "not-found" for an unknown network, "unavailable"
 */
export async function absenceOf(
  { view, store, host: { hostname } }: Context,
  network: string,
  wanted: string,
  full: readonly FullPort[] = [],
): Promise<UnknownMachine> {
  await confirmedRead(store, () => findNetwork(view, network));
  const space = view.space(network), ip = Ip.tryParse(wanted);
  const [named] = ip ? [] : space.reservationsNamed(wanted.toLowerCase());
  const held = ip?.family === 4 ? space.reservedAt(ip.u32) : undefined;
  const mac = ip ? held ?? space.former.of(`${ip}`) : tryParseMac(wanted) ?? named;
  const reservation = mac === undefined ? undefined : space.reservations.get(mac);
  const last = mac === undefined ? undefined : space.former.addressOf(mac);
  return {
    hostname,
    mac,
    address: ip ? `${ip}` : reservation?.ip4 ?? last,
    name: reservation?.name,
    reserved: reservation !== undefined,
    former: last !== undefined,
    full: fullOf(network, full),
  };
}

/** A sentence for each full port of the network. */
function fullOf(network: string, full: readonly FullPort[]): string[] {
  return full.filter((one) => one.network === network).map(
    ({ port, most }) =>
      `${port} has ${most} leases, as many as it may have, and was asked for more: strand attach NET --device ${port} --leases N`,
  );
}

/** Tests whether the endpoint's veth or device is up in the bridge; undefined where it has none. */
async function portOf(path: string, { record }: OverlayEndpoint, state: NetworkState | undefined) {
  const { overlay_veth_name: veth, strand_port: device } = record;
  if (veth) {
    const port = state?.veths.get(veth);
    return port?.up === true && port.inBridge;
  }
  if (device === undefined) return undefined;
  using namespace = NetworkNamespace.openIfAny(path);
  const [link, bridge] = [await namespace?.link(device), await namespace?.link(BRIDGE)];
  return link?.up === true && bridge !== undefined && link.master === bridge.index;
}

/** Tests whether the endpoint's own namespace is there; undefined where it has none. */
function namespaceOf({ active, record: { target_netns_path: path } }: OverlayEndpoint): boolean | undefined {
  if (!active || path === "") return undefined;
  using namespace = NetworkNamespace.openOrNone(path);
  return namespace !== undefined;
}

/** Undefined where the endpoint's port is not checked. */
async function containedAt(
  { kernel }: Context,
  path: string,
  { mac, address, record }: OverlayEndpoint,
  state: NetworkState | undefined,
): Promise<PortCheck | undefined> {
  const port = record.overlay_veth_name || record.strand_port,
    { rules = "none", own } = state?.containment ?? {};
  if (!port || !own || mac === undefined || address?.family !== 4 || rules === "none") return undefined;
  const sent = await foreignAt(path, { port, mac, address: address.u32, own });
  const frames = kernel.network(path).counted() ?? new Map<string, number>();
  return {
    rules: rules === "served" ? "count" : rules,
    sent,
    frames: Object.fromEntries([...frames].filter(([, count]) => count)),
  };
}
