/** The agent's side of the Docker plugin: it creates, activates and deletes the endpoints that this host's Docker asks for. */
import type { Ip } from "../../common/ip.ts";
import { Refusal } from "../../common/refusal.ts";
import { planClaim, planRelease } from "../../overlay/addresses.ts";
import { planDeactivate } from "../../overlay/endpoints.ts";
import { findNetwork, networkNamed } from "../../overlay/networks.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { change, confirm, confirmedRead } from "../../store/change.ts";
import { PlanBuilder } from "../../store/plan_builder.ts";
import {
  type DockerIds,
  type EndpointRecord,
  type NetworkRecord,
  writeSandRecord,
} from "../../store/sand_records.ts";
import type { Plan } from "../../store/types.ts";
import { timestamp } from "../../common/timestamp.ts";
import { inSpan, type Span, type SpanContext, traceparentOf } from "../../common/tracing.ts";
import type { Context } from "../context.ts";
import { writeDeletion, writtenIn } from "../endpoints/write_spans.ts";
import { failpoint } from "../failpoints.ts";
import { followed } from "../reconcile/followed.ts";
import { OWN_NAMESPACE } from "../kernel/network_namespace.ts";
import type { NetworkWorker } from "../reconcile/network.ts";
import { outlast } from "../reconcile/retries.ts";
import { randomMac, type VethNames } from "../endpoints/veth_names.ts";
import type { Workers } from "../reconcile/networks.ts";
import type { DockerApi, WantedEndpoint } from "./api.ts";

/** How often a conflicting write is planned again: many hosts may claim addresses of one network at once. */
const TRIES = 200;
/** How long applying a change to the kernel may take, in ms; the next comparison does what is left. */
const PATIENCE = 3000;

/**
 * The endpoints of this host's Docker. Their records contain Docker's ids, so nothing is kept on disk and an agent
 * that is started again finds what the previous one made.
 */
export class DockerEndpoints implements DockerApi {
  readonly #context: Context;
  readonly #workers: Workers;
  readonly #names: VethNames;
  /** Docker's network ids → ours. Docker never reuses an id. */
  readonly #networks = new Map<string, string>();

  /** @param onClaim Called with a network in which an address may be claimed now without an endpoint. */
  constructor(
    context: Context,
    workers: Workers,
    names: VethNames,
    private readonly onClaim: (network: string) => void,
  ) {
    this.#context = context;
    this.#workers = workers;
    this.#names = names;
  }

  network(wanted: string): Promise<NetworkRecord> {
    const { store, view } = this.#context;
    return confirmedRead(store, () => networkNamed(view, wanted));
  }

  async claim(network: string, address: Ip | undefined): Promise<Ip> {
    const { view } = this.#context;
    await this.network(network);
    if (address) await this.#deleteForgotten(network, (endpoint) => endpoint.address?.equals(address));
    let claimed: Ip | undefined;
    await this.#holding(network, () => {
      const planned = planClaim(view, network, Date.now(), address);
      claimed = planned.address;
      return planned.plan;
    }).finally(() => this.onClaim(network));
    failpoint("claim:after-commit");
    return claimed as Ip;
  }

  async release(network: string, address: Ip): Promise<void> {
    const { view } = this.#context;
    if (await this.#isThere(() => view.network(network))) {
      await this.#holding(network, () => planRelease(view, network, Date.now(), address));
    }
  }

  async addNetwork(dockerId: string, network: string): Promise<void> {
    const { view } = this.#context;
    await this.#commit(() => {
      findNetwork(view, network);
      const value = writeSandRecord({ DockerNetworkID: dockerId, SandNetworkID: network });
      return new PlanBuilder().guard(view.guard(view.keys.network(network)))
        .put(view.keys.dockerNetwork(dockerId), value).plan();
    });
    this.#networks.set(dockerId, network);
  }

  async removeNetwork(dockerId: string): Promise<void> {
    const { view, store } = this.#context;
    // An endpoint may have been created whose answer was lost and which the mirror does not show yet.
    await confirm(store);
    for (const { id, record } of this.#all()) {
      if (record.strand_docker?.network === dockerId) await this.delete(id);
    }
    await this.#commit(() => new PlanBuilder().remove(view.keys.dockerNetwork(dockerId)).plan());
    this.#networks.delete(dockerId);
  }

  async createEndpoint(
    docker: DockerIds,
    { address, mac, allowed, parent }: WantedEndpoint,
  ): Promise<EndpointRecord> {
    const { storeGuard } = this.#context;
    storeGuard.assertNotHeld();
    const known = this.endpoint(docker.endpoint);
    if (known) return known;
    const network = await this.#networkOf(docker.network);
    if (mac) await this.#deleteForgotten(network, (endpoint) => endpoint.mac === mac);
    return await this.#using(network, async ({ writer }) => {
      const claimed = address !== undefined, id = crypto.randomUUID();
      const attributes = { "strand.network": network, "strand.endpoint": id };
      return await inSpan("create endpoint", { parent, attributes }, async (span) => {
        const traceparent = traceparentOf(span),
          wanted = { id, now: timestamp(), address, claimed, mac, docker };
        return (await writtenIn(span, () => writer.create({ ...wanted, allowed, traceparent }))).record;
      });
    });
  }

  endpoint(dockerId: string): EndpointRecord | undefined {
    return this.#find(dockerId)?.record;
  }

  async join(dockerId: string, sandbox: string): Promise<string> {
    const found = await this.#known(dockerId);
    using own = this.#context.kernel.inspect(OWN_NAMESPACE);
    return await this.#using(found.network, async (worker) => {
      const names: string[] = [];
      const choose = () => {
        const name = this.#names.choose((name) => own.has(name) || worker.hasVeth(name));
        names.push(name);
        return name;
      };
      try {
        const targetVethName = choose();
        const activation = {
          targetNetnsPath: sandbox,
          overlayVethName: choose(),
          overlayVethMac: randomMac(),
          targetVethName,
        };
        await outlast(() => worker.handOver(found.id, activation), () => worker.bring());
        return targetVethName;
      } finally {
        this.#names.release(names);
      }
    });
  }

  async leave(dockerId: string): Promise<void> {
    const { view, host } = this.#context;
    const found = await this.#known(dockerId).catch(unlessNone);
    if (!found) return;
    await this.#using(found.network, async (worker) => {
      await this.#applied(
        worker,
        found.id,
        () =>
          worker.writer.exclusive(() =>
            this.#commit(() =>
              view.endpoint(found.id) ? planDeactivate(view, found.id, host.hostname).plan : undefined
            )
          ),
      );
    });
    failpoint("leave-sandbox:after-commit");
  }

  async deleteEndpoint(dockerId: string, parent?: SpanContext): Promise<void> {
    const found = await this.#known(dockerId).catch(unlessNone);
    if (!found) return;
    const attributes = { "strand.network": found.network, "strand.endpoint": found.id };
    await inSpan(
      "delete endpoint",
      { parent, attributes },
      (span) => this.delete(found.id, { keepAddress: true, span }),
    ).finally(() => this.onClaim(found.network));
  }

  /** Deletes an endpoint by its id in the store. */
  async delete(
    id: string,
    { span, ...options }: { readonly keepAddress?: boolean; readonly span?: Span | undefined } = {},
  ): Promise<void> {
    const { view, storeGuard } = this.#context;
    storeGuard.assertNotHeld();
    const found = await this.#isThere(() => view.endpoint(id));
    if (!found) return;
    await this.#using(
      found.network,
      (worker) =>
        this.#applied(worker, id, () =>
          // Another request may have deleted it meanwhile.
          writeDeletion(span, () => worker.writer.delete(id, options).catch(unlessNone))),
    );
  }

  /**
   * Deletes endpoints that Docker requests again while they have no interface anywhere, since it has forgotten them:
   * see {@link ForgottenEndpoints}.
   */
  async #deleteForgotten(
    network: string,
    fits: (endpoint: OverlayEndpoint) => boolean | undefined,
  ): Promise<void> {
    for (const endpoint of this.#all()) {
      if (endpoint.network === network && !endpoint.active && fits(endpoint)) await this.delete(endpoint.id);
    }
  }

  /** All Docker endpoints of this host. */
  #all(): OverlayEndpoint[] {
    const { view, host } = this.#context;
    return view.endpointsOn(host.hostname).filter(({ record }) => record.strand_docker);
  }

  #find(dockerId: string): OverlayEndpoint | undefined {
    return this.#all().find(({ record }) => record.strand_docker?.endpoint === dockerId);
  }

  /**
   * Finds an endpoint. Its absence counts only when etcd has confirmed it: one may have been created whose answer was
   * lost.
   * @throws Refusal "not-found" or "unavailable"
   */
  #known(dockerId: string): Promise<OverlayEndpoint> {
    return confirmedRead(this.#context.store, () => {
      const found = this.#find(dockerId);
      if (!found) throw new Refusal("not-found", `there is no endpoint for Docker's ${dockerId}`);
      return found;
    });
  }

  /** Finds something; its absence counts only when etcd has confirmed it. */
  async #isThere<T>(find: () => T | undefined): Promise<T | undefined> {
    const found = find();
    if (found !== undefined) return found;
    await confirm(this.#context.store);
    return find();
  }

  async #networkOf(dockerId: string): Promise<string> {
    const known = this.#networks.get(dockerId);
    if (known !== undefined) return known;
    const record = await this.#context.store.dockerNetwork(dockerId);
    if (!record) {
      throw new Refusal(
        "not-found",
        `Docker's network ${dockerId} is not known here: remove it and make it again with --opt sand-id=ID`,
      );
    }
    this.#networks.set(dockerId, record.SandNetworkID);
    return record.SandNetworkID;
  }

  /** Commits a change of an endpoint, if there is one, and gives the kernel time to follow. */
  async #applied(
    worker: NetworkWorker,
    id: string,
    act: () => Promise<number | undefined>,
  ): Promise<void> {
    const done = worker.whenApplied(id);
    const revision = await act().catch((error) => {
      worker.forget(id);
      throw error;
    });
    if (revision === undefined) return worker.forget(id);
    await followed(id, done, PATIENCE);
  }

  async #using<T>(network: string, act: (worker: NetworkWorker) => Promise<T>): Promise<T> {
    const using = await this.#workers.use(network);
    try {
      return await act(using.worker);
    } finally {
      using.release();
    }
  }

  async #holding(network: string, plan: () => Plan | undefined): Promise<void> {
    const release = await this.#context.store.hold(network);
    try {
      await this.#commit(plan);
    } finally {
      release();
    }
  }

  #commit(plan: () => Plan | undefined): Promise<number | undefined> {
    const { store, storeGuard } = this.#context;
    return change(store, () => {
      storeGuard.assertNotHeld();
      return plan();
    }, { tries: TRIES });
  }
}

function unlessNone(error: unknown): undefined {
  if (!(error instanceof Refusal && error.code === "not-found")) throw error;
}
