/** The state of one network on this host, which all files of this folder read and update. */
import { isBroadcast } from "../../overlay/broadcast.ts";
import { rangeOf } from "../../overlay/claims.ts";
import { type Rules, rulesOf } from "../../overlay/containment.ts";
import { hostRouteOf, mtuHere, mtuOf } from "../../overlay/desired.ts";
import { localFault, networkFault, networkProblem, notCarriedOut, vethOwners } from "../../overlay/faults.ts";
import { NetworkNeighbours } from "../../overlay/neighbours.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import type { ContainmentState } from "../../overlay/state.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { change } from "../../store/change.ts";
import type { Plan } from "../../store/types.ts";
import type { Context } from "../context.ts";
import type { ForeignKind } from "../kernel/containment.ts";
import type { NetworkKernel } from "../kernel/network.ts";

/**
 * One network on this host: what etcd says of it, and what its part of the kernel was when that was last read or
 * changed. The files of this folder share this object.
 */
export class HostNetwork {
  readonly kernel: NetworkKernel;
  /** True when the kernel matched etcd at the last full comparison and every change since has been applied. */
  steady = false;
  /** The MTU of vxlan0; like the next eight properties, as of the last full comparison. */
  mtu: number | undefined;
  /** The UDP port of vxlan0. */
  port: number | undefined;
  /** True when the host has routes to endpoints of the network. */
  hasRoutes = false;
  /** The VTEPs that broadcast is sent to. */
  flood: ReadonlySet<number> | undefined;
  /** True when broadcast was wanted at the last comparison. */
  isBroadcast = false;
  /** True when machines of the network reach the world. */
  hasEgress = false;
  /** True when br0 answers ARP for the endpoints. */
  proxied = false;
  /** The rules by which frames from ports are checked; undefined: they are not. */
  contained: ContainmentState["rules"] | undefined;
  /** Ports of the bridge that other programs have made. */
  foreignPorts: readonly string[] = [];
  /** True when an endpoint here has, or had, a veth end in the host's namespace. */
  hadHostEnds = false;
  /** Names of the veths of this host's endpoints, created or not. */
  readonly vethNames = new Set<string>();

  constructor(readonly id: string, readonly context: Context) {
    this.kernel = context.kernel.network(context.namespacePath(id));
    for (const { record } of this.endpoints) {
      this.vethNames.add(record.overlay_veth_name);
      this.hadHostEnds ||= record.strand_host_veth !== undefined;
    }
  }

  /** This host's endpoints of the network. */
  get endpoints(): ReadonlySet<OverlayEndpoint> {
    const { view, host } = this.context;
    return view.space(this.id).endpointsOn(host.hostname);
  }

  /** The network's name in messages, or its id where there is no record. */
  get name(): string {
    return this.context.view.network(this.id)?.name ?? this.id;
  }

  /** True when this host has nothing to do with the network any more. */
  get unwanted(): boolean {
    const { view, ports } = this.context;
    return !view.network(this.id) || !(this.endpoints.size || ports.has(this.id));
  }

  /** Why the record is invalid, so that the network is not set up from it; existing state stays. */
  get fault(): string | undefined {
    const { view } = this.context, network = view.network(this.id);
    const wrong = network && (view.isPartial(this.id) || networkFault(network) !== undefined);
    return wrong ? networkProblem(view, this.id) : undefined;
  }

  /** The largest MTU that the network can have on this host. */
  get mtuHere(): number {
    return mtuHere(this.options());
  }

  /** The MTU of the network, which is the same on all of its hosts. */
  get wantedMtu(): number {
    return mtuOf(this.context.view, this.id, this.options());
  }

  /** The rules by which frames from ports should be checked; undefined: none. */
  get wantedRules(): Rules | undefined {
    const { view, kernel } = this.context;
    return kernel.containment.missing === undefined ? rulesOf(view.space(this.id)) : undefined;
  }

  /** True when its machines should reach the world. */
  get egressWanted(): boolean {
    return this.context.view.space(this.id).settings?.overlay.egress === true;
  }

  /** True when its options ask for something else than the kernel has. */
  get hasOtherSettings(): boolean {
    return this.wantedRules !== this.contained || this.egressWanted !== this.hasEgress ||
      isBroadcast(this.context.view, this.id) !== this.isBroadcast;
  }

  /** True when the host should have a route to one of its endpoints. */
  get routesWanted(): boolean {
    const { view } = this.context, network = view.network(this.id);
    for (const endpoint of this.endpoints) {
      if (!network || hostRouteOf(endpoint) === undefined) continue;
      if (localFault(endpoint, network, view) === undefined) return true;
    }
    return false;
  }

  /** The options of desiredState() for this host. */
  options(currentMtu = this.mtu) {
    const { host, underlayMtu } = this.context;
    return {
      hostname: host.hostname,
      vtep: host.ip.u32,
      underlayMtu: underlayMtu(),
      currentMtu,
      proxied: this.proxied,
      devices: this.context.ports.devices(this.id),
      contains: this.context.kernel.containment.missing === undefined,
      broadcast: this.context.kernel.containment.missing === undefined
        ? this.context.broadcastLimit
        : undefined,
    };
  }

  /**
   * The state of egress for a comparison: the network's transfer address, for which the host is ready, or why
   * there is none. Both are undefined where none is wanted.
   * @param current The address that it has.
   */
  async egress(
    current: string | undefined,
  ): Promise<{ readonly transfer?: string | undefined; readonly problem?: string }> {
    const { egress, view } = this.context, record = view.network(this.id);
    if (!record || this.unwanted || !this.egressWanted) return {};
    try {
      const transfer = await egress.transferOf(this.id, rangeOf(record), current);
      await egress.prepare();
      return { transfer };
    } catch (error) {
      return { problem: `network ${this.name}: its machines do not reach the world: ${messageOf(error)}` };
    }
  }

  /** Why broadcast stays on this host although it should not; undefined: it does not. */
  get broadcastProblem(): string | undefined {
    const { view, kernel } = this.context;
    if (!isBroadcast(view, this.id) || kernel.containment.missing === undefined) return undefined;
    return `network ${this.name}: its broadcast stays on this host, whose kernel has no nf_tables for bridges to limit it`;
  }

  /** The MACs that the ports of active endpoints may be pinned to, by the ports' names. */
  pins(): Map<string, string> {
    const pins = new Map<string, string>();
    for (const [name, { mac }] of vethOwners(this.endpoints)) if (mac) pins.set(name, mac);
    return pins;
  }

  /** Records the veth names of this host's changed endpoints. */
  noteVeths(changes: readonly EndpointChange[]): void {
    const { hostname } = this.context.host;
    for (const { before, after } of changes) {
      for (const endpoint of [before, after]) {
        if (endpoint?.host === hostname && endpoint.record.strand_host_veth) this.hadHostEnds = true;
      }
      if (before?.host === hostname) this.vethNames.delete(before.record.overlay_veth_name);
      if (after?.host === hostname) this.vethNames.add(after.record.overlay_veth_name);
    }
  }

  /** Returns the MAC that an address has at present; undefined when no active endpoint has it. */
  macs(): (address: number) => number | undefined {
    const { view, host } = this.context, neighbours = new NetworkNeighbours(view, this.id, host.hostname);
    return (address) => neighbours.macOf(address);
  }

  /** Tells the containers here which MACs these addresses have now. */
  announce(pairs: ReadonlyMap<number, number>): void {
    this.kernel.announce(pairs, { learned: !this.proxied }).catch((error) =>
      this.context.log.debug(
        { network: this.id },
        `another MAC could not be announced to containers: ${messageOf(error)}`,
      )
    );
  }

  /** The error for an endpoint of this host with an invalid record. */
  refusal(endpoint: string, why: string): Refusal {
    const { view, host } = this.context;
    return new Refusal("forbidden", notCarriedOut(view.keys.hostEndpoint(host.hostname, endpoint), why));
  }

  /** The counters of its rules, and whether they drop; undefined where there are none. */
  counted(): { rules: ContainmentState["rules"]; frames: ReadonlyMap<ForeignKind, number> } | undefined {
    const { contained: rules, kernel } = this;
    const frames = rules && kernel.counted();
    return frames && { rules, frames };
  }

  /** How many packets were refused that would have opened more connections to the world than may be open. */
  refusedConnections(): number | undefined {
    return this.hasEgress ? this.kernel.refusedConnections() : undefined;
  }

  /** Writes to etcd what was found or done on this host. */
  commit(plan: () => Plan | undefined): Promise<unknown> {
    const { store, storeGuard } = this.context;
    return change(store, () => {
      storeGuard.assertNotHeld();
      return plan();
    }, { unconfirmed: true });
  }
}
