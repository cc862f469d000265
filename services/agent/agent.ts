/** The implementation of the agent's API: networks and endpoints are listed, created and deleted on this host. */
import { Mutex } from "../common/async.ts";
import type { Ip } from "../common/ip.ts";
import { invalid, messageOf, Refusal } from "../common/refusal.ts";
import { checkNetwork, type NetworkRequest } from "../overlay/check_network.ts";
import { rangeOf } from "../overlay/claims.ts";
import { findEndpoint, namespaceGone, onAnotherHost } from "../overlay/endpoints.ts";
import { networkProblem } from "../overlay/faults.ts";
import { findNetwork, planCreateNetwork, planDeleteNetwork } from "../overlay/networks.ts";
import { unusableAddress } from "../overlay/ranges.ts";
import { namedRecord } from "../overlay_names/names.ts";
import { change, confirm, confirmedRead } from "../store/change.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { EndpointRecord, NetworkRecord } from "../store/sand_records.ts";
import type {
  AgentApi,
  ConnectRoute,
  CreatedNetwork,
  CreateRequest,
  CreateResult,
  DeletionRequest,
  EndpointFilter,
  EndpointList,
  EnsureResult,
  MachineAt,
  NetworkTrouble,
  RemoteAgent,
} from "./api.ts";
import { timestamp } from "../common/timestamp.ts";
import { inSpan, type Span } from "../common/tracing.ts";
import { type Context, sinceBoot } from "./context.ts";
import { createEndpoint, type EndpointMaker, SET_UP_MS } from "./endpoints/create_endpoint.ts";
import { EndpointsInNamespaces } from "./endpoints/endpoints_in_namespaces.ts";
import { failpoint } from "./failpoints.ts";
import { followed } from "./reconcile/followed.ts";
import { writeDeletion } from "./endpoints/write_spans.ts";
import { rangeConflicts } from "./reconcile/range_conflicts.ts";
import { unreadableKeys } from "./reconcile/unreadable.ts";
import type { DhcpAdmission } from "./gateway/dhcp_admission.ts";
import { absenceOf, pathTo } from "./explain/path.ts";
import type { PathReport, UnknownMachine } from "./explain/path_report.ts";
import { VethNames } from "./endpoints/veth_names.ts";
import type { Workers } from "./reconcile/networks.ts";

/** A request that must write fails at once when etcd has been out of reach for this long, in ms. */
const AWAY = 1000;
/**
 * How often creating a network is tried again: many hosts may create networks at once, and each VNI is guarded by all
 * networks.
 */
const TRIES = 200;

export interface AgentOptions {
  readonly minVni: number;
  readonly maxVni: number;
  readonly vxlanPort: number;
  /** Names reserved for veths; shared with everything that makes veths on this host. */
  readonly names?: VethNames;
  /** The ports that have no more leases. */
  readonly admission?: Pick<DhcpAdmission, "full">;
}

/** This host's agent as the HTTP API and the command line see it: each method is one request. */
export class Agent implements AgentApi {
  readonly #context: Context;
  readonly #workers: Workers;
  readonly #options: AgentOptions;
  readonly #maker: EndpointMaker;
  readonly #inNamespaces: EndpointsInNamespaces;
  /** Networks are created one at a time on this host, since each creation is guarded by all networks. */
  readonly #creating = new Mutex();

  constructor(context: Context, workers: Workers, options: AgentOptions) {
    this.#context = context;
    this.#workers = workers;
    this.#options = options;
    this.#inNamespaces = new EndpointsInNamespaces(context, workers);
    this.#maker = { context, workers, names: options.names ?? new VethNames() };
  }

  async networks(name?: string): Promise<NetworkRecord[]> {
    const { store, view } = this.#context;
    const found = () => [...view.networks()].filter((network) => !name || network.name === name);
    if (name && !found().length) await confirm(store);
    return found();
  }

  network(id: string): Promise<NetworkRecord> {
    const { store, view } = this.#context;
    return confirmedRead(store, () => findNetwork(view, id));
  }

  networkNames(): ReadonlyMap<string, string> {
    return new Map([...this.#context.view.networkNames()].map(([name, id]) => [id, name]));
  }

  trouble(id: string): NetworkTrouble {
    const { view } = this.#context;
    const deleting = view.isDeleted(id) ? view.space(id).oldHosts() : undefined;
    return { broken: networkProblem(view, id), deleting };
  }

  async createNetwork(request: NetworkRequest): Promise<CreatedNetwork> {
    const network = await this.#creating.run(() => this.#createNetwork(request));
    const conflicts = await rangeConflicts(this.#context, network).catch((error) => {
      // The network is created without the check of conflicting routes.
      this.#context.log.warn(`the routes of this host cannot be listed: ${messageOf(error)}`);
      return [];
    });
    if (!conflicts.length) return { network };
    const warning = `the range ${network.ip_range} is not for this network alone: ${conflicts.join("; ")}. ` +
      "The network is apart from its hosts and works; its containers do not reach these addresses over other " +
      "interfaces, and isGateway and hostInterface are refused in it";
    this.#context.log.warn({ network: network.id }, warning);
    return { network, warning };
  }

  async #createNetwork(request: NetworkRequest): Promise<NetworkRecord> {
    const { view, store, storeGuard, namespacePath } = this.#context;
    this.#assertWritable();
    const newId = crypto.randomUUID();
    checkNetwork(request, newId);
    const options = {
      newId,
      now: timestamp(),
      namespacePath,
      minVni: this.#options.minVni,
      maxVni: this.#options.maxVni,
      vxlanPort: this.#options.vxlanPort,
    };
    // A SAND agent that deletes a network leaves its address claims behind; a new network with the same id would find
    // them.
    const release = request.id ? await store.hold(request.id.toLowerCase()) : () => {};
    try {
      let record: NetworkRecord | undefined;
      await change(store, () => {
        storeGuard.assertNotHeld();
        const planned = planCreateNetwork(view, request, options);
        record = planned.record;
        return planned.plan;
      }, { tries: TRIES });
      failpoint("network:after-commit");
      return record as NetworkRecord;
    } finally {
      release();
    }
  }

  async deleteNetwork(id: string): Promise<void> {
    const { view, store, storeGuard } = this.#context;
    this.#assertWritable();
    await this.network(id);
    const release = await store.hold(id);
    try {
      const now = timestamp(), found = new Set<string>();
      await change(store, () => {
        storeGuard.assertNotHeld();
        return planDeleteNetwork(view, id, now, found).plan;
      }, { tries: TRIES });
      await this.#workers.idle(id);
    } finally {
      release();
    }
  }

  async endpoints({ network, hostname, netns }: EndpointFilter): Promise<EndpointList> {
    const { view, store, host } = this.#context;
    if (netns !== undefined) {
      return { endpoints: await this.#inNamespaces.definitelyAt(netns, network) };
    }
    const fits = (record: EndpointRecord) =>
      (network === undefined || record.network_id === network) &&
      (hostname === undefined || record.hostname === hostname);
    const known = () =>
      [...view.endpoints()].filter(({ record }) => fits(record))
        .map((endpoint) => namedRecord(view.space(endpoint.network), endpoint));
    if (hostname === host.hostname || (network !== undefined && this.#workers.has(network))) {
      return { endpoints: known() };
    }
    try {
      this.#assertReached();
      if (network !== undefined) return { endpoints: (await store.endpointsOfNetwork(network)).filter(fits) };
      if (hostname !== undefined) return { endpoints: await store.endpointsOfHost(hostname) };
      return { endpoints: await store.allEndpoints() };
    } catch (error) {
      if (!(error instanceof Refusal && error.code === "unavailable")) throw error;
      const warning = `${error.message}: only endpoints of networks that ${host.hostname} has are listed`;
      return { endpoints: known(), warning };
    }
  }

  async createEndpoint(request: CreateRequest): Promise<CreateResult> {
    this.#assertWritable();
    return await createEndpoint(this.#maker, request);
  }

  async ensureEndpoint(request: CreateRequest): Promise<EnsureResult> {
    this.#assertWritable();
    return await this.#inNamespaces.ensure(
      { ...request, wayOut: true },
      (wanted) => this.createEndpoint(wanted),
    );
  }

  pathTo(network: string, address: Ip): Promise<PathReport> {
    return pathTo(this.#context, this.#workers, network, address);
  }

  absence(network: string, wanted: string): Promise<UnknownMachine> {
    return absenceOf(this.#context, network, wanted, this.#options.admission?.full);
  }

  machine(network: string, mac: string): Promise<MachineAt> {
    return this.#context.ports.machine(network, mac);
  }

  async deleteEndpoint(id: string, { force = false, parent }: DeletionRequest = {}): Promise<void> {
    await inSpan(
      "delete endpoint",
      { parent, attributes: { "strand.endpoint": id } },
      (span) => this.#deleteEndpoint(id, force, span),
    );
  }

  async #deleteEndpoint(id: string, force: boolean, span: Span | undefined): Promise<void> {
    const { view, store, host } = this.#context;
    this.#assertWritable();
    const unread = unreadableKeys(this.#context, id);
    if (unread.length && !view.endpoint(id)) return await this.#removeUnreadable(id, unread, force);
    // The mirror holds endpoints only of this host's networks; others are read from etcd.
    const far = view.endpoint(id)
      ? undefined
      : (await store.allEndpoints()).find((record) => record.id === id && record.hostname !== host.hostname);
    const { own, network } = await confirmedRead(store, () => {
      const known = view.endpoint(id), own = known?.host === host.hostname;
      const network = known?.network ?? far?.network_id;
      if (network !== undefined && (own || force)) return { own, network };
      if (!known && far) throw onAnotherHost(far, host.hostname);
      findEndpoint(view, id, host.hostname);
      throw new Refusal("not-found", `there is no endpoint "${id}"`);
    });
    const using = await this.#workers.use(network);
    try {
      const { worker } = using;
      if (!own) {
        if (view.endpoint(id)) return await worker.writer.forceDelete(id);
        return await this.#removeHalf(id);
      }
      const done = worker.whenApplied(id);
      await writeDeletion(span, () => worker.writer.delete(id)).catch((error) => {
        worker.forget(id);
        throw error;
      });
      // The record is gone from etcd; what is left in the kernel goes at the latest with the next full comparison.
      await inSpan(
        "remove from kernel",
        { parent: span?.spanContext() },
        () => followed(id, done, SET_UP_MS),
      );
      failpoint("delete:after-kernel");
    } finally {
      using.release();
    }
    await this.#workers.idle(network);
  }

  /** Deletes an endpoint whose records cannot be read, so that it no longer holds up its network. */
  async #removeUnreadable(id: string, keys: readonly string[], force: boolean): Promise<void> {
    const { view, store, host, storeGuard } = this.#context;
    const own = keys.some((key) => key.startsWith(view.keys.hostEndpoints(host.hostname)));
    if (!own && !force) {
      const message =
        `the record ${keys[0]} in etcd cannot be read, so that it is not known which host endpoint ` +
        `${id} is on: ask that host, or force it if nothing of it is left there`;
      throw new Refusal("forbidden", message);
    }
    await change(store, () => {
      storeGuard.assertNotHeld();
      const left = keys.map((key) => view.newest(key)).filter(({ modRevision }) => modRevision);
      return left.length
        ? left.reduce((builder, { key }) => builder.remove(key), new PlanBuilder().guard(...left)).plan()
        : undefined;
    });
    // Until now its devices were left alone in the kernel; the comparison removes them.
    await this.#workers.compareAll("change");
  }

  /**
   * Removes one key of an endpoint without the other: a SAND agent that died between its two writes leaves one key,
   * which only the endpoint's own host follows.
   */
  async #removeHalf(id: string): Promise<void> {
    const { store, view } = this.#context;
    const record = (await store.allEndpoints()).find((record) => record.id === id);
    if (!record) return;
    const key = view.keys.hostEndpoint(record.hostname, id);
    const [guard] = await store.current([key]);
    // A guard that fails means that the agent which writes this key still runs, so the key stays.
    if (guard) await store.committer.commit({ guards: [guard], ops: [{ remove: key }] });
  }

  async route(network: string, address: Ip): Promise<ConnectRoute> {
    const { view, store, host, kernel } = this.#context;
    const found = await this.network(network), range = rangeOf(found);
    if (!range.contains(address)) {
      throw invalid(`ip: ${address} is outside the range ${range} of network ${found.name}`);
    }
    // Networks made by SAND may have such a range, and each container has services of its own at these addresses.
    const unusable = unusableAddress(address);
    if (unusable !== undefined) throw invalid(`ip: ${address}: ${unusable}; nothing is connected to it`);
    for (const endpoint of view.space(network).endpointsOn(host.hostname)) {
      const path = endpoint.active ? endpoint.record.target_netns_path : "";
      // The namespace may have ended just now, and a Docker endpoint's may not be moved to its container yet.
      const identity = path ? await kernel.targetIdentity(path) : undefined;
      if (identity === undefined || namespaceGone(endpoint, sinceBoot(identity))) continue;
      return { kind: "local", netns: path, identity };
    }
    const agents = new Map<string, RemoteAgent>();
    for (const record of await store.endpointsOfNetwork(network)) {
      if (!record.active || record.hostname === host.hostname) continue;
      const { hostname, api_hostname: apiHostname, host_ip: ip } = record;
      agents.set(hostname, { hostname, apiHostname, ip });
    }
    if (!agents.size) {
      throw new Refusal(
        "invalid",
        `network ${view.network(network)?.name} has no active endpoint to connect from: create one`,
      );
    }
    return { kind: "remote", agents: [...agents.values()] };
  }

  /** Throws Refusal "unavailable" while nothing can be written: at once, where a request would wait for an answer. */
  #assertWritable(): void {
    this.#context.storeGuard.assertNotHeld();
    this.#assertReached();
  }

  /** Throws Refusal "unavailable" when etcd has been away for a while. */
  #assertReached(): void {
    const { outSince, outReason } = this.#context.store.mirror.state;
    const away = outSince === undefined ? 0 : Date.now() - outSince;
    if (away < AWAY) return;
    const because = outReason === undefined ? "" : ` (${outReason})`;
    throw new Refusal("unavailable", `etcd cannot be followed since ${Math.round(away / 1000)} s${because}`);
  }
}
