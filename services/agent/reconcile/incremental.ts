/** Applies single endpoint changes from etcd to the kernel, without reading the rest of the network. */
import { Refusal } from "../../common/refusal.ts";
import { floodOf, floodOps } from "../../overlay/broadcast.ts";
import { bridgePortOf, changeOps, ownOf } from "../../overlay/containment.ts";
import { desiredVeth, hostRouteOf, isProxied } from "../../overlay/desired.ts";
import { diffVeth } from "../../overlay/diff.ts";
import { hostVethName, vethOwners, vethTaken } from "../../overlay/faults.ts";
import { NetworkNeighbours } from "../../overlay/neighbours.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { uplinkName, type VethState } from "../../overlay/state.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";
import { NameTaken } from "../kernel/pair.ts";
import type { Applier } from "./apply.ts";
import type { HostNetwork } from "./host_network.ts";
import type { Problems } from "./problems.ts";

/** The kernel objects that the changed endpoints of this host have, or had, by endpoint id. */
interface Touched {
  /** Names of veths. */
  readonly veths: ReadonlyMap<string, ReadonlySet<string>>;
  /** Addresses that the host has, or had, a route to. */
  readonly routes: ReadonlyMap<string, string>;
  /** Names of veth ends in the host's namespace. */
  readonly hostEnds: ReadonlyMap<string, string>;
  /** The MACs and addresses that were the ports' own, for their rules. */
  readonly own: ReadonlySet<string>;
  /** Endpoints that have just been created. */
  readonly fresh: ReadonlySet<string>;
}

/** Applies single changes to a network that is set up, at a cost that does not depend on the rest of the network. */
export class Incremental {
  constructor(
    private readonly network: HostNetwork,
    private readonly applier: Applier,
    private readonly problems: Problems,
  ) {}

  /**
   * Applies the changes.
   * @returns false when they concern more than these endpoints: nothing was done then, and the whole network is to be
   *   compared
   */
  async run(changes: readonly EndpointChange[]): Promise<boolean> {
    const { network, problems } = this, { id: networkId, context: { view, host } } = network;
    const { proxied, flood = new Set() } = network, isOpen = flood.size > 0 || network.isBroadcast;
    const neighbours = new NetworkNeighbours(
      view,
      networkId,
      host.hostname,
      proxied,
      host.ip.u32,
      proxied || isOpen,
    );
    const touched = this.#touchedBy(changes);
    if (touched.routes.size && network.routesWanted !== network.hasRoutes) return false;
    if (touched.veths.size) {
      const contested = ({ before, after }: EndpointChange) =>
        [before, after].some((endpoint) => endpoint && neighbours.contested(endpoint));
      const proxied = isProxied(view, networkId, network.options());
      if (proxied !== network.proxied || (proxied && changes.some(contested))) return false;
    }
    const { broadcast, vtep } = network.options();
    const flooded = broadcast === undefined ? flood : floodOf(view, networkId, vtep);
    await this.applier.apply([...neighbours.opsFor(changes), ...floodOps(flood, flooded)]);
    network.flood = flooded;
    problems.renew(changes, neighbours);
    await this.#bringMachines(changes);
    await this.#bringVeths(touched, neighbours);
    for (const id of touched.veths.keys()) {
      const problem = problems.endpoints.get(id);
      // A failed question to etcd is tried again; an error that lies in the request or its namespace is not.
      if (problem && !(problem instanceof Refusal && problem.code !== "unavailable")) throw problem;
    }
    return true;
  }

  /** Updates the MACs and addresses that machines behind devices may send from. */
  async #bringMachines(changes: readonly EndpointChange[]): Promise<void> {
    const { network } = this, { view, host: { hostname } } = network.context, space = view.space(network.id);
    const isBehind = (endpoint: OverlayEndpoint | undefined): endpoint is OverlayEndpoint =>
      endpoint?.host === hostname && endpoint.record.overlay_veth_name === "";
    const before = new Set<string>(), after = new Set<string>(), left: KernelOp[] = [];
    for (const change of changes) {
      if (isBehind(change.before)) {
        for (const element of ownOf(change.before)) before.add(element);
        const { hot: { mac }, record: { strand_port: port } } = change.before;
        const isThere = space.holdersOfMac(mac).some((now) =>
          isBehind(now) && now.record.strand_port === port
        );
        // The bridge would go on sending what is for it out of that port.
        if (port !== undefined && mac >= 0 && !isThere) {
          left.push({ op: "port-forget", port, macs: new Set([mac]) });
        }
      }
      for (const endpoint of [change.before, change.after]) {
        if (!isBehind(endpoint)) continue;
        // An element that goes with one endpoint may have come with another.
        for (
          const now of [...space.holdersOfMac(endpoint.hot.mac), ...space.holdersOf(endpoint.hot.address)]
        ) {
          if (isBehind(now)) { for (const element of ownOf(now)) after.add(element); }
        }
      }
    }
    await this.applier.apply([...left, ...network.contained ? changeOps(before, after) : []]);
  }

  /** Each endpoint is taken as it is now: of several changes of one endpoint the last one counts. */
  #touchedBy(changes: readonly EndpointChange[]): Touched {
    const { hostname } = this.network.context.host;
    const veths = new Map<string, Set<string>>();
    const routes = new Map<string, string>(), hostEnds = new Map<string, string>();
    const own = new Set<string>();
    for (const { before, after } of changes) {
      if (before?.host === hostname) { for (const element of ownOf(before)) own.add(element); }
      for (const endpoint of [before, after]) {
        if (endpoint?.host !== hostname) continue;
        const { overlay_veth_name: name, strand_host_veth: hostEnd } = endpoint.record;
        const route = hostRouteOf(endpoint);
        if (name) veths.set(endpoint.id, (veths.get(endpoint.id) ?? new Set()).add(name));
        if (route !== undefined) routes.set(endpoint.id, route);
        if (hostEnd !== undefined && hostEnd === hostVethName(name)) hostEnds.set(endpoint.id, hostEnd);
      }
    }
    const fresh = new Set(changes.flatMap(({ before, after }) => after && !before ? [after.id] : []));
    return { veths, routes, hostEnds, own, fresh };
  }

  async #bringVeths(touched: Touched, neighbours: NetworkNeighbours): Promise<void> {
    const { network, problems } = this, { context: { view, host } } = network;
    const names = new Set([...touched.veths.values()].flatMap((names) => [...names]));
    const owners = names.size ? vethOwners(network.endpoints, names) : new Map<string, OverlayEndpoint>();
    for (const [id, names] of touched.veths) {
      const endpoint = view.endpoint(id);
      problems.endpoints.delete(id);
      // Existing state of the endpoint stays.
      if (endpoint && problems.refuses(endpoint)) continue;
      for (const name of names) {
        const isIts = endpoint?.active && endpoint.record.overlay_veth_name === name;
        // A record that names an older endpoint's veth does not change that veth.
        const owner = owners.get(name);
        if (owner && owner.id !== id) {
          if (isIts) problems.endpoints.set(id, network.refusal(id, vethTaken(name, owner)));
          continue;
        }
        const wanted = isIts && endpoint.host === host.hostname
          ? desiredVeth(endpoint, network.mtu ?? network.wantedMtu, neighbours)
          : undefined;
        await this.applier.forOne(id, () => this.#bringVeth(id, name, endpoint, wanted, touched));
      }
    }
  }

  async #bringVeth(
    id: string,
    name: string,
    endpoint: OverlayEndpoint | undefined,
    wanted: VethState | undefined,
    { routes, hostEnds, own, fresh }: Touched,
  ): Promise<void> {
    const { network } = this;
    const address = routes.get(id), uplink = uplinkName(network.id);
    const way: KernelOp[] = address === undefined ? [] : [
      wanted && endpoint && hostRouteOf(endpoint) === address
        ? { op: "uplink-route-add", veth: name, uplink, address }
        : { op: "uplink-route-remove", uplink, address },
    ];
    const end = wanted ? undefined : hostEnds.get(id);
    // Another program may have removed its port.
    const left: KernelOp[] = end === undefined ? [] : [{ op: "host-end-remove", name: end }];
    const before = new Set([...own].filter((element) => bridgePortOf(element) === name));
    const after = new Set(wanted && endpoint ? ownOf(endpoint) : []);
    const checks = network.contained ? changeOps(before, after) : [];
    const bring = async (actual: VethState | undefined) => {
      const ops = [...diffVeth(name, actual, wanted), ...left, ...way];
      // A port is checked before it is made, and until it is gone.
      await this.applier.apply(wanted ? [...checks, ...ops] : [...ops, ...checks], endpoint);
    };
    if (wanted?.peer && fresh.has(id)) {
      try {
        // An endpoint that has just been created usually has nothing in the kernel, so reading can be skipped.
        return await bring(undefined);
      } catch (error) {
        // A leftover has the name, so the state must be read. Other refusals, such as a conflicting route of the
        // container, are final.
        if (!(error instanceof NameTaken)) throw error;
      }
    }
    await bring(await network.kernel.readVeth(name, wanted?.peer?.netns, wanted?.pinned));
  }
}
