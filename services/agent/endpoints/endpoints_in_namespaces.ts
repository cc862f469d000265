/**
 * Finds this host's endpoints by their network namespace, whatever path it is named by. Requests to attach a
 * namespace can therefore be repeated.
 */
import { KeyedMutex } from "../../common/async.ts";
import { invalid } from "../../common/refusal.ts";
import { inSpan } from "../../common/tracing.ts";
import { isMadeFor } from "../../overlay/namespace_identity.ts";
import { findNetwork } from "../../overlay/networks.ts";
import { namedRecord } from "../../overlay_names/names.ts";
import { confirm } from "../../store/change.ts";
import type { EndpointRecord } from "../../store/sand_records.ts";
import type { CreateRequest, CreateResult, EnsureResult } from "../api.ts";
import { type Context, sinceBoot } from "../context.ts";
import { waitForHosts } from "./create_endpoint.ts";
import type { Workers } from "../reconcile/networks.ts";

/** Finds, and makes once, the endpoints of namespaces on this host. */
export class EndpointsInNamespaces {
  /** By network and namespace: of two requests for one, the second finds what the first has made. */
  readonly #turns = new KeyedMutex();

  constructor(private readonly context: Context, private readonly workers: Workers) {}

  /**
   * Makes an endpoint with `create`, unless the network has one in the namespace already: then that one is the answer, also
   * where its name or address are not what is asked for. Waits for other hosts as `waitMs` says in either case.
   *
   * @throws Refusal
   */
  async ensure(
    { waitMs = 0, ...request }: CreateRequest,
    create: (request: CreateRequest) => Promise<CreateResult>,
  ): Promise<EnsureResult> {
    const { network, netns } = request;
    if (netns === undefined) {
      throw invalid("activate: false: an endpoint that is asked for once is in a namespace");
    }
    const found = await this.#turns.run(`${network} ${this.#identity(netns)}`, async () => {
      const known = await this.definitelyAt(netns, network);
      const fits = known.find(({ strand_name: name, target_veth_ip: address }) =>
        name === request.name && (!request.address || address.startsWith(`${request.address}/`))
      );
      const existing = fits ?? known[0];
      return existing
        ? { endpoint: existing, existing: true }
        : { ...await create(request), existing: false };
    });
    if (!waitMs) return { ...found, pending: [] };
    const wait = () => this.#wait(found.endpoint.id, network, waitMs);
    return { ...found, pending: await inSpan("wait for hosts", { parent: request.parent }, wait) };
  }

  /**
   * The active endpoints in the namespace at a path, as etcd itself confirms; of one network, or of all.
   * @throws Refusal "invalid" where there is no namespace, "not-found" for an unknown network, "unavailable"
   */
  async definitelyAt(path: string, network?: string): Promise<EndpointRecord[]> {
    const { store, view, host, kernel } = this.context;
    await confirm(store);
    if (network !== undefined) findNetwork(view, network);
    const identity = this.#identity(path);
    return view.endpointsOn(host.hostname).filter((endpoint) => {
      if (!endpoint.active || (network !== undefined && endpoint.network !== network)) return false;
      const { record } = endpoint, its = isMadeFor(record, identity);
      if (its !== undefined) return its;
      // Records of SAND's agents and of Docker's endpoints have a path alone.
      const there = kernel.identity(record.target_netns_path);
      return there !== undefined && sinceBoot(there) === identity;
    }).map((endpoint) => namedRecord(view.space(endpoint.network), endpoint));
  }

  #identity(path: string): string {
    using namespace = this.context.kernel.inspect(path);
    return sinceBoot(namespace.identity);
  }

  async #wait(id: string, network: string, waitMs: number): Promise<string[]> {
    const { view } = this.context, { worker, release } = await this.workers.use(network);
    try {
      return await waitForHosts(this.context, worker, view.endpoint(id)?.modified ?? 0, waitMs);
    } finally {
      release();
    }
  }
}
