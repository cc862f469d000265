/**
 * The worker of one network on this host. A change in etcd takes this path: the store's view reports it to {@link Workers}
 * (networks.ts), which calls notice() here. Changes gather in a queue, and one run at a time takes all of them. It applies them
 * one by one (incremental.ts) or compares the whole network (full.ts); both change the kernel through apply.ts, which asks
 * removal_guard.ts before it removes anything. Then waiting requests are answered (waiters.ts) and the other hosts informed
 * (status.ts). A failure leads to a full comparison, soon at first and then less often.
 */
import { delay } from "../../common/async.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { isTracing } from "../../common/tracing.ts";
import { concernsWhole } from "../../overlay/allowed.ts";
import { portOf } from "../../overlay/desired.ts";
import type { Activation } from "../../overlay/endpoints.ts";
import { planLeave } from "../../overlay/hosts.ts";
import type { EndpointChange, NetworkChange } from "../../overlay/network_change.ts";
import type { Context } from "../context.ts";
import { failpoint } from "../failpoints.ts";
import { NamespaceGone } from "../kernel/network_namespace.ts";
import { unreadable } from "./unreadable.ts";
import { Announcer } from "./announcer.ts";
import { Applier, notDone } from "./apply.ts";
import { EndpointWriter } from "./endpoint_writer.ts";
import { FullComparison } from "./full.ts";
import { handOver } from "./hand_over.ts";
import { HostNetwork } from "./host_network.ts";
import { Incremental } from "./incremental.ts";
import { Problems } from "./problems.ts";
import { type CompareReason, isCheck, isUrgent } from "./reason.ts";
import { RemovalGuard } from "./removal_guard.ts";
import { FIRST_PAUSE, Retries } from "./retries.ts";
import { AppliedStatus, isAwaited } from "./status.ts";
import { EndpointTraces } from "./traces.ts";
import { AppliedWaiters } from "./waiters.ts";

/** Keeps one network's part of the kernel in the state that etcd describes, one step at a time. */
export class NetworkWorker {
  readonly writer: EndpointWriter;
  readonly #context: Context;
  readonly #network: HostNetwork;
  readonly #problems: Problems;
  readonly #applier: Applier;
  readonly #incremental: Incremental;
  readonly #full: FullComparison;
  readonly #status: AppliedStatus;
  readonly #waiters = new AppliedWaiters();
  readonly #announcer: Announcer;
  readonly #traces: EndpointTraces | undefined;
  /** The reason why the whole network is to be compared; undefined: it is not. */
  #reason: CompareReason | undefined;
  /** The changes that are to be applied. */
  #changes: EndpointChange[] = [];
  /** The revision of the newest change. */
  #revision = 0;
  #running: Promise<void> | undefined;
  readonly #retries: Retries;
  /** The timer of the next comparison for missing namespaces. */
  #compareAgain: ReturnType<typeof setTimeout> | undefined;
  #users = 0;
  readonly #closing = new AbortController();

  /** @param onGone Called when nothing of the network is left on this host. */
  constructor(readonly id: string, context: Context, private readonly onGone: () => void) {
    this.#context = context;
    const network = this.#network = new HostNetwork(id, context);
    network.kernel.watch(() => context.drift.suspect(this));
    const problems = this.#problems = new Problems(network), guard = new RemovalGuard(network);
    const traces = this.#traces = isTracing ? new EndpointTraces(id, context.host.hostname) : undefined;
    const applier = this.#applier = new Applier(network, problems, guard, traces);
    const status = this.#status = new AppliedStatus(network);
    const announcer = this.#announcer = new Announcer((pairs) => network.announce(pairs));
    this.#incremental = new Incremental(network, applier, problems);
    this.#full = new FullComparison(network, {
      applier,
      problems,
      guard,
      status,
      announcer,
      queue: {
        hasChanged: () => this.#changes.length > 0 || (this.#reason !== undefined && !isCheck(this.#reason)),
        isAwaited: (endpoint) => this.#waiters.has(endpoint),
        compareAgainIn: (ms) => this.#lookAgainIn(ms),
      },
    });
    this.writer = new EndpointWriter(id, context, () => network.mtuHere);
    const { mirror } = context.store, { signal } = this.#closing;
    this.#retries = new Retries(mirror, () => this.#closed || this.#start(), signal);
  }

  /** The revision of the newest change of its endpoints in etcd. */
  get revision(): number {
    return this.#revision;
  }

  /** The MTU of the network on this host. */
  get mtu(): number {
    return this.#network.mtu ?? this.#network.wantedMtu;
  }

  /** True while the kernel is known to match etcd. */
  get steady(): boolean {
    return this.#network.steady && !this.#reason && !this.#changes.length &&
      this.#problems.endpoints.size === 0;
  }

  /** Why this host does not match etcd, a sentence each. */
  get problems(): readonly string[] {
    return this.#problems.all;
  }

  /** @see {@link HostNetwork}, {@link AppliedStatus.applied}, hasLink() of kernel/network.ts */
  readonly shownName = () => this.#network.name;
  readonly applied = () => this.#status.applied;
  readonly counted = () => this.#network.counted();
  readonly foreignPorts = () => this.#network.foreignPorts;
  readonly refusedConnections = () => this.#network.refusedConnections();
  readonly contained = () => this.#network.contained;
  readonly hasLink = (name: string) => this.#network.kernel.hasLink(name);

  /** Takes a change of the network in etcd. */
  notice(change: NetworkChange): void {
    const { kinds, endpoints, revision } = change, network = this.#network;
    const { view, host: { hostname } } = this.#context;
    network.noteVeths(endpoints);
    this.#traces?.notice(endpoints);
    // Both keys of an endpoint are written in one transaction, and arrive as two events: the second changes nothing.
    for (const one of endpoints) if (one.before?.modified !== one.after?.modified) this.#changes.push(one);
    this.#revision = Math.max(this.#revision, revision);
    const ofHosts = kinds.has("hosts") || kinds.has("applied");
    const otherMtu = ofHosts && network.mtu !== undefined && network.wantedMtu !== network.mtu;
    const presenceLost = kinds.has("hosts") && network.steady && !view.networksOn(hostname).has(this.id);
    if (ofHosts) this.#problems.checkHosts();
    const record = view.network(this.id);
    const otherPort = record && network.port !== undefined && portOf(view, record, hostname) !== network.port;
    const otherSettings = kinds.has("names") && network.hasOtherSettings;
    if (concernsWhole(change) || otherMtu || otherPort || otherSettings || presenceLost) {
      this.#reason ??= "change";
    }
    // After a failure, the next try takes it.
    if (!this.#retries.isFailing || this.#waiters.size) this.#start();
  }

  /** Forgets the revisions of the store: this host is, or was, on hold, and a restored store has lower ones. */
  startOver(): void {
    this.#revision = 0;
    this.#status.reset();
  }

  /** Publishes without delay when this host has applied that revision, since a request may wait for it. */
  readonly publishSoon = (revision: number) => this.#status.publishSoon(revision);

  /** True when an endpoint of this host has a veth of that name, created or not. */
  readonly hasVeth = (name: string) => this.#network.vethNames.has(name);

  /** Keeps the worker while an endpoint is about to be created. @returns a function that releases it */
  use(): () => void {
    this.#users++;
    return () => {
      this.#users--;
      if (this.#users === 0 && this.#network.unwanted && !this.#closed) void this.compare("change");
    };
  }

  /** Compares the whole network. Resolves when that is done, whether it succeeded or not. */
  async compare(reason: CompareReason): Promise<void> {
    this.#reason ??= reason;
    this.#start();
    await this.#running;
  }

  /** Compares for a request, again while the error may be over at the next try: see {@link Retries.mayPass}. */
  async bring(): Promise<void> {
    await this.compare("change");
    while (this.#retries.isPassing && !this.#closed) {
      await delay(FIRST_PAUSE, this.#closing.signal);
      await this.compare("change");
    }
  }

  /** Resolves when the next change of that endpoint is applied here; rejects when it cannot be. */
  whenApplied(endpoint: string): Promise<void> {
    return this.#waiters.wait(endpoint);
  }

  /** Ends one wait for that endpoint. */
  forget(endpoint: string): void {
    this.#waiters.forget(endpoint);
  }

  /** Creates an endpoint's veth for Docker to take: see {@link handOver}. */
  async handOver(endpoint: string, activation: Activation): Promise<void> {
    // No run may come in between: a comparison would find a veth that etcd does not know of, and remove it. One may fail now.
    while (this.#running || (this.#retries.isPassing && !this.#closed)) await (this.#running ?? this.bring());
    const handing = handOver(this.#network, this.#applier, endpoint, activation, {
      isSetUp: this.#network.steady && !this.#closed,
      problem: this.#problems.network[0],
      onUnknown: () => this.#reason ??= "retry",
    });
    this.#running = handing.catch(() => {}).finally(() => {
      this.#running = undefined;
      if ((this.#reason || this.#changes.length) && !this.#retries.isFailing) this.#start();
    });
    await handing;
  }

  /** Resolves when no work is left. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Ends after the current run; the kernel stays as it is. */
  async close(): Promise<void> {
    this.#closing.abort();
    const told = this.#status.close();
    this.#announcer.close();
    this.#traces?.close();
    clearTimeout(this.#compareAgain);
    await this.#running;
    await told;
    this.#network.kernel.close();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Work may have been added at the very end of the run.
      const more = this.#reason || this.#changes.length;
      if (more && !this.#retries.isFailing && !this.#closed && !this.#context.storeGuard.hold) this.#start();
    });
  }

  async #run(): Promise<void> {
    const { view, storeGuard, counters, vteps, host } = this.#context;
    // Changes of the same batch of events are taken together.
    await Promise.resolve();
    while (!this.#closed && (this.#reason || this.#changes.length)) {
      if (storeGuard.hold) return;
      // What was written before the worker began, or during a hold, was not noticed one by one.
      if (!this.#status.applied) {
        this.#revision = Math.max(this.#revision, view.space(this.id).newestRevision);
      }
      const reason = this.#reason, changes = this.#changes, revision = this.#revision;
      this.#reason = undefined;
      this.#changes = [];
      const started = performance.now(), span = this.#traces?.begin();
      try {
        await vteps.widen(this.#network);
        this.#traces?.step("hosts admitted");
        await this.#bring(reason, changes);
        await vteps.settle(this.#network, this.#applier.guard);
        this.#retries.succeeded();
        this.#traces?.done((id) => this.#problems.endpoints.get(id)?.message ?? this.#network.fault);
        this.#settle(changes);
        this.#problems.tell("all");
        this.#announcer.notice(changes, this.#network.macs());
        this.#status.publish(
          // If a hold has begun meanwhile, a revision from before it says nothing of the store that is believed then.
          Math.min(revision, this.#revision),
          reason !== undefined || changes.some((change) => isAwaited(change, host.hostname)),
        );
      } catch (error) {
        this.#traces?.retry();
        if (!storeGuard.hold) this.#failed(error, changes);
        return;
      } finally {
        const seconds = (performance.now() - started) / 1000;
        counters.reconcile.observe({ kind: reason ? "all" : "some" }, seconds, span);
      }
    }
    this.#status.publish(this.#revision, false);
  }

  async #bring(reason: CompareReason | undefined, changes: readonly EndpointChange[]): Promise<void> {
    // While a record cannot be read, the network itself stays and only single endpoints are removed.
    const leaves = this.#network.unwanted && !unreadable(this.#context, this.id)?.interfaces;
    if (!reason && this.#network.steady && !leaves) {
      try {
        if (await this.#incremental.run(changes)) return;
      } catch (error) {
        // An unexpected state of the kernel is repaired by a full comparison.
        if (this.#context.storeGuard.hold) throw error;
      }
    }
    const why = reason ?? "change", run = async () => !this.#closed && await this.#full.run(why, changes);
    if (await this.#context.comparisons.run(run, isUrgent(why))) await this.#leave();
    for (const id of this.#waiters.among(changes)) {
      const problem = this.#problems.endpoints.get(id);
      if (problem && this.#retries.mayPass(problem)) throw problem;
    }
  }

  /** Answers the requests that wait for one of these endpoints. */
  #settle(changes: readonly EndpointChange[]): void {
    const { view } = this.#context, fault = this.#network.fault;
    for (const id of this.#waiters.among(changes)) {
      const notSetUp = fault !== undefined && view.endpoint(id)?.active;
      const lost = view.endpoint(id)?.active === false &&
        changes.findLast(({ after }) => after?.id === id && after.active)?.after;
      const problem = this.#problems.endpoints.get(id) ??
        (notSetUp
          ? new Refusal("forbidden", fault)
          : lost
          ? notDone(id, "set up", new NamespaceGone(lost.record.target_netns_path))
          : undefined);
      this.#waiters.settle(id, problem);
    }
  }

  #failed(error: unknown, changes: readonly EndpointChange[]): void {
    const { log, counters } = this.#context;
    this.#network.steady = false;
    this.#reason ??= "retry";
    counters.failures.inc();
    const why = messageOf(error), { name } = this.#network;
    const message = `network ${name} could not be brought to what etcd says: ${why}`;
    const isFirst = this.#retries.failed(error);
    if (isFirst) log.warn(`${message}; it is tried again`);
    this.#problems.network = [message];
    // Requests wait for the next try.
    if (this.#retries.isPassing) this.#changes = [...changes, ...this.#changes];
    else for (const id of this.#waiters.among(changes)) this.#waiters.settle(id, error);
  }

  #lookAgainIn(ms: number | undefined): void {
    clearTimeout(this.#compareAgain);
    if (ms === undefined || this.#closed) return;
    this.#compareAgain = setTimeout(() => void this.compare("check"), ms);
  }

  /** Writes to etcd that nothing of the network is left on this host. */
  async #leave(): Promise<void> {
    const { view, host, storeGuard } = this.#context, network = this.#network;
    await this.writer.exclusive(async () => {
      if (!network.unwanted || this.#changes.length || this.#users) return;
      storeGuard.left(this.id);
      failpoint("leave:before-commit");
      await network.commit(() => network.unwanted ? planLeave(view, this.id, host.hostname) : undefined);
      failpoint("leave:after-commit");
      if (!network.unwanted) return;
      network.steady = false;
      this.#status.reset();
      // A request that came meanwhile waits for this worker, which sets the network up again.
      if (!this.#users) this.onGone();
    });
  }
}
