import { hostRouteOf, mtuHere, mtuOf } from "../../overlay/desired.ts";
import { localFault, networkFault, networkProblem, notCarriedOut, vethOwners } from "../../overlay/faults.ts";
import type { OverlayEndpoint } from "../../overlay/space.ts";
import type { EndpointChange } from "../../overlay/view.ts";
import { Refusal } from "../../common/refusal.ts";
import { change } from "../../store/change.ts";
import type { Plan } from "../../store/types.ts";
import type { Context } from "../context.ts";
import type { NetworkKernel } from "../kernel/network.ts";

/**
 * One network as this host has it: what the store says of it here, and what its part of the kernel was like when that was
 * last read or changed. The files of this folder share it; each changes only what it says here that it does.
 */
export class HostNetwork {
  readonly kernel: NetworkKernel;
  /** The kernel was brought to what the store says, and every change since has been carried out. */
  steady = false;
  /** Of vxlan0, like the next three since the last full comparison. */
  mtu: number | undefined;
  /** The UDP port of vxlan0. */
  port: number | undefined;
  /** The host has an uplink veth into the network. */
  hasUplink = false;
  /** br0 answers ARP in the endpoints' place. */
  proxied = false;
  /** One of its endpoints here has, or had, an end in the host's namespace. */
  hadHostEnds = false;
  /** Of the endpoints of this host, whether made or not. */
  readonly vethNames = new Set<string>();

  constructor(readonly id: string, readonly context: Context) {
    this.kernel = context.kernel.network(context.namespacePath(id));
    for (const { record } of this.endpoints) {
      this.vethNames.add(record.overlay_veth_name);
      this.hadHostEnds ||= record.strand_host_veth !== undefined;
    }
  }

  /** Those of this host. */
  get endpoints(): ReadonlySet<OverlayEndpoint> {
    const { view, host } = this.context;
    return view.space(this.id).endpointsOn(host.hostname);
  }

  /** For messages. */
  get name(): string {
    return this.context.view.network(this.id)?.name ?? this.id;
  }

  /** True when this host has no business with the network any more. */
  get unwanted(): boolean {
    return !this.context.view.network(this.id) || !this.endpoints.size;
  }

  /** Why the network is not set up from its record; what is there of it stays. */
  get fault(): string | undefined {
    const { view } = this.context, network = view.network(this.id);
    const wrong = network && (view.isPartial(this.id) || networkFault(network) !== undefined);
    return wrong ? networkProblem(view, this.id) : undefined;
  }

  /** The largest MTU that the network can have on this host. */
  get mtuHere(): number {
    return mtuHere(this.options());
  }

  /** The MTU that the network is to have, for all of its hosts. */
  get wantedMtu(): number {
    return mtuOf(this.context.view, this.id, this.options());
  }

  /** True when the host is to have a route to one of its endpoints. */
  get uplinkWanted(): boolean {
    const { view } = this.context, network = view.network(this.id);
    for (const endpoint of this.endpoints) {
      if (!network || hostRouteOf(endpoint) === undefined) continue;
      if (localFault(endpoint, network, view) === undefined) return true;
    }
    return false;
  }

  /** For desiredState() and what else is worked out from the store for this host. */
  options(currentMtu = this.mtu) {
    const { host, underlayMtu } = this.context;
    return {
      hostname: host.hostname,
      vtep: host.ip.u32,
      underlayMtu: underlayMtu(),
      currentMtu,
      proxied: this.proxied,
    };
  }

  /** The MACs that the ports of its active endpoints may be known for, by the ports' names. */
  pins(): Map<string, string> {
    const pins = new Map<string, string>();
    for (const [name, { mac }] of vethOwners(this.endpoints)) if (mac) pins.set(name, mac);
    return pins;
  }

  /** Remembers which veths this host's endpoints have. */
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

  /** Why an endpoint of this host is not carried out. */
  refusal(endpoint: string, why: string): Refusal {
    const { view, host } = this.context;
    return new Refusal("forbidden", notCarriedOut(view.keys.hostEndpoint(host.hostname, endpoint), why));
  }

  /** Writes to the store what was found or done here. */
  commit(plan: () => Plan | undefined): Promise<unknown> {
    const { store, storeGuard } = this.context;
    return change(store, () => {
      storeGuard.assertNotHeld();
      return plan();
    }, { unconfirmed: true });
  }
}
