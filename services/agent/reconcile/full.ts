/** The full comparison of a network: the kernel's state is read, the desired one computed, and the difference applied. */
import { Refusal } from "../../common/refusal.ts";
import { isBroadcast } from "../../overlay/broadcast.ts";
import { bridgePortOf, foreignPorts } from "../../overlay/containment.ts";
import { desiredState, hostRouteOf } from "../../overlay/desired.ts";
import { diff, diffVeth, lostVeths } from "../../overlay/diff.ts";
import { byNamespace, planDeactivate, supersededBy } from "../../overlay/endpoints.ts";
import { hostVethName, vethOwners } from "../../overlay/faults.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { groupOps, isDestructive } from "../../overlay/op_groups.ts";
import { type NetworkState, PROBE_VNI, uplinkName } from "../../overlay/state.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";
import { isOfTables, unreadable } from "./unreadable.ts";
import type { Announcer } from "./announcer.ts";
import type { Applier } from "./apply.ts";
import type { HostNetwork } from "./host_network.ts";
import { TargetNamespaces } from "./namespaces_gone.ts";
import type { Problems } from "./problems.ts";
import { type CompareReason, isCheck } from "./reason.ts";
import type { RemovalGuard } from "./removal_guard.ts";
import type { AppliedStatus } from "./status.ts";
import { GRACE_MS } from "./vanished.ts";

/** The methods of the network's queue that a comparison uses. */
export interface Queue {
  /** True when something has changed in the store since the comparison began. */
  hasChanged(): boolean;
  /** True when an API request waits for this endpoint. */
  isAwaited(endpoint: string): boolean;
  /** Schedules another comparison in that many ms; undefined: none. */
  compareAgainIn(ms: number | undefined): void;
}

export interface FullParts {
  readonly applier: Applier;
  readonly problems: Problems;
  readonly guard: RemovalGuard;
  readonly status: AppliedStatus;
  readonly announcer: Announcer;
  readonly queue: Queue;
}

/**
 * Compares a whole network with the kernel: reads the state, computes the desired one from etcd, and applies the
 * difference.
 */
export class FullComparison {
  readonly #targets: TargetNamespaces;
  /** The changes of other programs that are not wholly repaired yet, as they were found: a repair may need several tries. */
  #drift: readonly KernelOp[] = [];

  constructor(private readonly network: HostNetwork, private readonly parts: FullParts) {
    this.#targets = new TargetNamespaces(network, parts.problems);
  }

  /**
   * Compares, and applies the difference.
   * @param changes The changes that led to the comparison.
   * @returns true when nothing of the network is left on this host, which is then to be written to etcd
   */
  async run(reason: CompareReason, changes: readonly EndpointChange[]): Promise<boolean> {
    const { network, parts: { applier, problems, guard, status, announcer, queue } } = this;
    const { id: networkId, context: { view, host, storeGuard } } = network;
    const wasRight = network.steady && problems.endpoints.size === 0 && !changes.length;
    problems.endpoints.clear();
    const fault = network.fault;
    if (fault !== undefined) {
      // Existing state stays, except for endpoints that are to be removed.
      network.steady = false;
      problems.network = [fault];
      await this.#removeGone(changes);
      return false;
    }

    // First the state of the kernel is read.
    const { gone, unknown, identities } = this.#targets.check((id) =>
      // A missing namespace is certain at once for an endpoint that is being created, and at the start, where nothing
      // was seen before.
      reason === "start" || queue.isAwaited(id)
    );
    const refused = this.#refuseEndpoints(unknown);
    const peers = new Map<string, string>();
    for (const [name, { record: { target_netns_path: path } }] of vethOwners(network.endpoints)) {
      if (path && !unknown.has(name)) peers.set(name, path);
    }
    const actual = await network.kernel.read(peers, network.pins(), isCheck(reason) && wasRight);
    // The sockets would keep a namespace alive that another program has removed, and the VNI with it.
    if (!actual) this.#isGone();
    const madeFor = byNamespace(view, host.hostname);
    for (const [endpoint, identity] of identities) {
      const name = endpoint.record.overlay_veth_name;
      const inPlace = actual?.veths.get(name)?.peer !== undefined;
      if (supersededBy(madeFor, endpoint, identity, inPlace)) gone.add(name);
    }

    // Then the desired state is computed.
    const proxied = actual?.proxy?.port === true || (actual?.proxy?.arp.size ?? 0) > 0;
    const egress = await network.egress(actual?.uplink?.transfer);
    const options = { ...network.options(actual?.vxlan?.mtu), proxied, transfer: egress.transfer };
    const { state: full, problems: computed } = desiredState(view, networkId, options);
    const found = full
      ? [...computed, ...[egress.problem, network.broadcastProblem].filter(isText)]
      : computed;
    const desired = full && without(full, gone);
    // A change in etcd since the state was read is not drift caused by another program.
    const drifted = isCheck(reason) && wasRight && !queue.hasChanged();
    problems.network = found;

    // Then the difference is taken, as far as it may be applied.
    const unread = unreadable(network.context, networkId);
    let ops = [...diff(actual, desired), ...await this.#strays(reason, desired)];
    if (unread) problems.network = [...found, unread.reason];
    problems.checkHosts();
    if (unread?.tables) ops = ops.filter((op) => !isOfTables(op));
    if (unread?.interfaces || refused) {
      // A veth that is to be recreated is removed first.
      const replaced = (op: KernelOp) => op.op === "veth-remove" && desired?.veths.has(op.name);
      ops = ops.filter((op) => !isDestructive(op) || isOfTables(op) || replaced(op));
    }
    const away = ops.some(isDestructive) ? await guard.unconfirmed() : undefined;
    if (away) ops = ops.filter((op) => !isDestructive(op));
    const missing = desired && !unread?.interfaces ? lostVeths(actual, without(desired, unknown)) : [];
    // After a mere notification, Docker may be about to report itself that the container is gone.
    const lost = reason === "drift" ? [] : missing;
    queue.compareAgainIn(missing.length > lost.length ? GRACE_MS : this.#targets.dueInMs);

    if (ops.some(({ op }) => op === "namespace-remove")) await network.context.ports.leave(networkId);
    const { network: shared, veths } = groupOps(ops, unknown);
    if (drifted) this.#drift = [...shared, ...[...veths.values()].flat()];
    const ids = new Map([...network.endpoints].map(({ id, record }) => [record.overlay_veth_name, id]));
    for (const [name, { id }] of vethOwners(network.endpoints)) ids.set(name, id);
    // Removals come first, because a veth that is made may have the name of one that goes.
    for (const [name, own] of veths) if (!desired?.veths.has(name)) await applier.apply(own);
    if (shared.some(({ op }) => op === "uplink-add")) {
      await network.context.egress.prepareForwarding(networkId);
    }
    if (shared.some((op) => op.op === "vxlan-add" && op.vxlan.vni === PROBE_VNI)) {
      await network.context.prober.giveWay();
    }
    await applier.apply(shared);
    for (const [address, mac] of shared.flatMap((op) => op.op === "arp-set" ? [...op.entries] : [])) {
      // These endpoints moved while this agent did not run, and an address that several may use has moved just now.
      const isHeld = view.space(networkId).allowed.holderOf(address) !== undefined;
      if (isHeld || (actual?.arp.get(address) ?? -1) > 0) announcer.announce(address, mac);
    }
    for (const [name, own] of veths) {
      const id = ids.get(name) ?? name;
      if (desired?.veths.has(name)) await applier.forOne(id, () => applier.apply(own, view.endpoint(id)));
    }
    if (this.#drift.length) this.#reportDrift(this.#drift);
    this.#drift = [];
    // What was missing has been added; the removals are tried again.
    if (away) {
      const message = `what is no longer in etcd could not be removed: ${away.message}`;
      throw new Refusal("unavailable", message, { cause: away });
    }

    // From here on the state is known.
    network.mtu = desired?.vxlan?.mtu;
    network.hasRoutes = (desired?.uplink?.routes.size ?? 0) > 0;
    network.hasEgress = network.egressWanted;
    if (desired?.uplink?.transfer === undefined) {
      await network.context.egress.release(networkId, desired?.uplink !== undefined);
    }
    network.port = desired?.vxlan?.port;
    network.proxied = desired?.proxy?.port === true;
    network.flood = desired?.flood;
    network.isBroadcast = isBroadcast(view, networkId);
    const canContain = network.context.kernel.containment.missing === undefined;
    network.contained = canContain ? desired?.containment?.rules : undefined;
    const own = new Set([...network.vethNames, ...options.devices]);
    network.foreignPorts = desired ? foreignPorts(network.kernel.ports, own) : [];
    await this.#deactivate([...gone, ...lost].flatMap((name) => ids.get(name) ?? []));
    if (unread?.interfaces && !desired) return false;
    if (!desired) {
      // Without a namespace, single changes cannot be applied.
      network.steady = false;
      this.#isGone();
      return true;
    }
    await status.publishPresence();
    if (view.networksOn(host.hostname).has(networkId)) storeGuard.joined(networkId);
    network.steady = true;
    network.context.gateways.isSetUp(networkId);
    network.context.held.isSetUp(networkId);
    if (network.mtu !== undefined) await network.context.ports.isSetUp(networkId, network.mtu);
    return false;
  }

  /** Closes the sockets in the network's namespace. */
  #isGone(): void {
    const { id, context: { gateways, held, ports } } = this.network;
    for (const part of [gateways, held, ports]) part.isGone(id);
  }

  /** Operations that remove ends in the host's namespace which remain of deleted endpoints and whose port is gone. */
  async #strays(reason: CompareReason, desired: NetworkState | undefined): Promise<KernelOp[]> {
    if (reason !== "start" && !this.network.hadHostEnds) return [];
    const wanted = new Set([...desired?.veths.values() ?? []].map(({ hostEnd }) => hostEnd));
    return (await this.network.kernel.hostEnds()).filter((name) => !wanted.has(name))
      .map((name) => ({ op: "host-end-remove", name }));
  }

  /** Removes the devices of endpoints that are no longer active here, regardless of the rest of the network. */
  async #removeGone(changes: readonly EndpointChange[]): Promise<void> {
    const { network, parts: { applier } } = this, { hostname } = network.context.host;
    const owners = vethOwners(network.endpoints);
    for (const { before } of changes) {
      if (!before?.active || before.host !== hostname) continue;
      const { id, record: { overlay_veth_name: name, strand_host_veth: hostEnd } } = before;
      if (!name || owners.has(name)) continue;
      const address = hostRouteOf(before), ops: KernelOp[] = [];
      if (address !== undefined) {
        ops.push({ op: "uplink-route-remove", uplink: uplinkName(network.id), address });
      }
      if (hostEnd !== undefined && hostEnd === hostVethName(name)) {
        ops.push({ op: "host-end-remove", name: hostEnd });
      }
      await applier.forOne(id, async () => {
        const actual = await network.kernel.readVeth(name, undefined);
        await applier.apply([...diffVeth(name, actual, undefined), ...ops]);
      });
    }
  }

  /** Refuses endpoints of this host with invalid records, and adds their veths to those that stay as they are. */
  #refuseEndpoints(unknown: Set<string>): boolean {
    const { network, parts: { problems } } = this;
    let refused = false;
    const owners = vethOwners(network.endpoints);
    for (const endpoint of network.endpoints) {
      if (!problems.refuses(endpoint)) continue;
      refused = true;
      const name = endpoint.record.overlay_veth_name;
      // The veth of that name may belong to another endpoint.
      if ((owners.get(name) ?? endpoint) === endpoint) unknown.add(name);
    }
    return refused;
  }

  /** Marks endpoints whose namespace is gone as inactive in etcd; they keep their addresses. */
  async #deactivate(ids: readonly string[]): Promise<void> {
    const { network } = this, { view, host, log, counters } = network.context;
    for (const id of ids) {
      const path = view.endpoint(id)?.record.target_netns_path;
      await network.commit(() =>
        view.endpoint(id) ? planDeactivate(view, id, host.hostname).plan : undefined
      );
      this.#targets.forget(id);
      counters.deactivated.inc();
      log.info(
        { endpoint: id, network: network.id },
        `endpoint ${id} is inactive: the namespace that it was made for, ${path}, is gone`,
      );
    }
  }

  /** Logs and counts what other programs had changed in the kernel. */
  #reportDrift(ops: readonly KernelOp[]): void {
    const { counters, log } = this.network.context;
    counters.drifted += ops.length;
    const counts = new Map<string, number>();
    for (const { op } of ops) {
      counters.drift.inc({ op });
      counts.set(op, (counts.get(op) ?? 0) + 1);
    }
    counters.repaired(this.network.id, counts);
    const what = [...counts].map(([op, count]) => count > 1 ? `${op} (${count})` : op).join(", ");
    log.warn(
      `network ${this.network.name} was changed on this host by other programs, and is repaired: ${what}`,
    );
  }
}

const isText = (text: string | undefined): text is string => text !== undefined;

function without(state: NetworkState, veths: ReadonlySet<string>): NetworkState {
  const { containment } = state;
  const own = new Set([...containment?.own ?? []].filter((element) => !veths.has(bridgePortOf(element))));
  return {
    ...state,
    veths: new Map([...state.veths].filter(([name]) => !veths.has(name))),
    ...containment && { containment: { ...containment, own } },
  };
}
