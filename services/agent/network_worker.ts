import { messageOf, Refusal } from "../common/refusal.ts";
import {
  desiredState,
  desiredVeth,
  hostRouteOf,
  isProxied,
  mtuHere,
  mtuOf,
  portOf,
} from "../overlay/desired.ts";
import { diff, diffVeth, lostVeths } from "../overlay/diff.ts";
import {
  type Activation,
  byNamespace,
  findEndpoint,
  namespaceGone,
  planActivate,
  planDeactivate,
  planReach,
  supersededBy,
} from "../overlay/endpoints.ts";
import {
  hostVethName,
  localFault,
  networkFault,
  networkProblem,
  notCarriedOut,
  presenceProblems,
  vethOwners,
  vethTaken,
} from "../overlay/faults.ts";
import { planApplied, planLeave, planPresence } from "../overlay/hosts.ts";
import { Neighbours } from "../overlay/neighbours.ts";
import type { Op } from "../overlay/ops.ts";
import { partsOf, takesAway } from "../overlay/parts.ts";
import type { Endpoint } from "../overlay/space.ts";
import { legName, type NetworkState, type PeerState, type VethState } from "../overlay/state.ts";
import type { EndpointChange, NetworkChange } from "../overlay/view.ts";
import { change } from "../store/change.ts";
import { delay } from "../common/async.ts";
import type { Plan } from "../store/types.ts";
import { Announcer } from "./announcer.ts";
import { type Context, sinceBoot, timestamp } from "./context.ts";
import { EndpointWriter } from "./endpoint_writer.ts";
import { failpoint } from "./failpoints.ts";
import type { NetworkKernel } from "./kernel/network.ts";
import { NamespaceGone, OWN_NAMESPACE } from "./kernel/place.ts";
import { TargetRefused } from "./kernel/target.ts";
import { isOfTables, unreadable } from "./unreadable.ts";
import { GRACE_MS, Vanished } from "./vanished.ts";

/** After a failure it is tried again, first after this and then twice as long each time, in ms. */
const FIRST_PAUSE = 100, LONGEST_PAUSE = 10_000;

/**
 * What has been carried out is told to the other hosts after so many ms at the latest. Changes of this host's own endpoints
 * take as long, since no other host waits for this one to carry them out.
 */
const LONGEST_SILENCE = 2000;

/** Problems that are some record's: see notCarriedOut() and presenceProblems(). */
const REFUSED = / in etcd is not (carried out|believed): /;

/** Why all of a network is compared with the kernel; "drift": it has told of a change that was not the agent's. */
export type Reason = "start" | "change" | "check" | "drift" | "retry";

/**
 * One network's part of this host: brings the kernel to what the store says, one thing after another. What changed is
 * carried out by itself; at start, after trouble, and now and then, all of it is compared.
 */
export class NetworkWorker {
  readonly writer: EndpointWriter;
  readonly #context: Context;
  readonly #kernel: NetworkKernel;
  readonly #announcer: Announcer;
  #reason: Reason | undefined;
  #changes: EndpointChange[] = [];
  /** Of the newest change. */
  #revision = 0;
  #running: Promise<void> | undefined;
  /** The kernel was brought to what the store says, and every change since has been carried out. */
  #steady = false;
  /** Of vxlan0, when it was last looked at or made. */
  #mtu: number | undefined;
  /** One of its endpoints here has, or had, an end in the host's namespace. */
  #hadHostEnds = false;
  /** The host has a leg in the network. */
  #hasLeg = false;
  /** The UDP port of vxlan0. */
  #port: number | undefined;
  /** br0 answers ARP in the endpoints' place. */
  #proxied = false;
  readonly #veths = new Set<string>();
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #vanished = new Vanished();
  /** When it is looked again for what is away. */
  #lookAgain: ReturnType<typeof setTimeout> | undefined;
  /** The mirror's return is waited for. */
  #waking = false;
  #problems: readonly string[] = [];
  /** About what hosts say of the network. */
  #hostProblems: readonly string[] = [];
  readonly #waiting = new Map<string, Waiting>();
  /** Veths of endpoints that could not be made, by the endpoint's id. */
  readonly #broken = new Map<string, Error>();
  /** Problems with records that have been logged. */
  #told: ReadonlySet<string> = new Set();
  #users = 0;
  readonly #closing = new AbortController();
  #applied = 0;
  #publishing: Promise<void> | undefined;
  #published = 0;
  /** What is applied is told without delay up to this revision, since it may be waited for. */
  #awaited = 0;
  /** Ends the delay of what nothing waits for. */
  #hurry = new AbortController();

  /** @param onGone Called when nothing of the network is left on this host. */
  constructor(readonly id: string, context: Context, private readonly onGone: () => void) {
    this.#context = context;
    this.#kernel = context.kernel.network(context.namespacePath(id));
    this.#kernel.watch(() => context.drift.suspect(this));
    this.#announcer = new Announcer((pairs) => this.#announce(pairs));
    this.writer = new EndpointWriter(id, context, () => this.#mtuHere());
    for (const { record } of this.#local()) {
      this.#veths.add(record.overlay_veth_name);
      this.#hadHostEnds ||= record.strand_host_veth !== undefined;
    }
  }

  /** Of the newest change of its endpoints in the store. */
  get revision(): number {
    return this.#revision;
  }

  /** Of the network on this host. */
  get mtu(): number {
    return this.#mtu ?? this.#wantedMtu();
  }

  /** True while the kernel is known to show what the store says. */
  get steady(): boolean {
    return this.#steady && !this.#reason && !this.#changes.length && this.#broken.size === 0;
  }

  /** What keeps this host from what the store says, a sentence each. */
  get problems(): readonly string[] {
    return [...this.#problems, ...this.#hostProblems, ...[...this.#broken.values()].map(messageOf)];
  }

  /** The network changed in the store. */
  notice({ kinds, endpoints, revision }: NetworkChange): void {
    const { hostname } = this.#context.host;
    for (const { before, after } of endpoints) {
      for (const endpoint of [before, after]) {
        if (endpoint?.host === hostname && endpoint.record.strand_host_veth) this.#hadHostEnds = true;
      }
      if (before?.host === hostname) this.#veths.delete(before.record.overlay_veth_name);
      if (after?.host === hostname) this.#veths.add(after.record.overlay_veth_name);
    }
    // Both keys of an endpoint are written at once and seen one after the other.
    this.#changes.push(...endpoints.filter(({ before, after }) => before?.modified !== after?.modified));
    this.#revision = Math.max(this.#revision, revision);
    const otherMtu = (kinds.has("hosts") || kinds.has("applied")) && this.#mtu !== undefined &&
      this.#wantedMtu() !== this.#mtu;
    const presenceLost = kinds.has("hosts") && this.#steady &&
      !this.#context.view.networksOn(this.#context.host.hostname).has(this.id);
    if (kinds.has("hosts") || kinds.has("applied")) this.#lookAtHosts();
    const network = this.#context.view.network(this.id);
    const otherPort = network && this.#port !== undefined &&
      portOf(this.#context.view, network, hostname) !== this.#port;
    if (kinds.has("network") || otherMtu || otherPort || presenceLost) this.#reason ??= "change";
    // After a failure it is the next try's.
    if (this.#failures === 0 || this.#waiting.size) this.#start();
  }

  /** The network changed in a store that is in doubt: once that is over, all of it is compared. */
  overlook({ revision }: NetworkChange): void {
    // A store that was restored has lower ones.
    if (revision) this.#revision = revision;
    this.#applied = this.#published = this.#awaited = 0;
  }

  /** Has the other hosts, and this one's view, told without delay when this host has applied that revision. */
  tellSoon(revision: number): void {
    this.#awaited = Math.max(this.#awaited, revision);
    this.#hurry.abort();
  }

  /** True when an endpoint of this host has a veth of that name, made or not. */
  hasVeth(name: string): boolean {
    return this.#veths.has(name);
  }

  /** Keeps the worker while somebody is about to make an endpoint. @returns how to let it go */
  use(): () => void {
    this.#users++;
    return () => {
      this.#users--;
      if (this.#users === 0 && this.#leaving() && !this.#closed) void this.compare("change");
    };
  }

  /** Has all of it compared. Resolves when that is done, however it went. */
  async compare(reason: Reason): Promise<void> {
    this.#reason ??= reason;
    this.#start();
    await this.#running;
  }

  /** Resolves when the next change of that endpoint is carried out here; rejects when it cannot be. */
  carriedOut(endpoint: string): Promise<void> {
    let waiting = this.#waiting.get(endpoint);
    if (!waiting) {
      waiting = { ...Promise.withResolvers(), count: 0 };
      waiting.promise.catch(() => {}); // Whoever asked may have given up before.
      this.#waiting.set(endpoint, waiting);
    }
    waiting.count++;
    return waiting.promise;
  }

  /** One of those who wait for that endpoint does so no longer. */
  forget(endpoint: string): void {
    const waiting = this.#waiting.get(endpoint);
    if (waiting && --waiting.count === 0) this.#waiting.delete(endpoint);
  }

  /**
   * Makes an endpoint's veth with its other end in the agent's own namespace, from where Docker takes it, and says in the
   * store that it is active: in this order, since one that the store does not know of is removed with the next comparison.
   *
   * @throws Refusal "unavailable" while the network is not set up here
   */
  async handOver(endpoint: string, activation: Activation): Promise<void> {
    // Nothing may come between: a comparison would find the veth before the store knows of it, and remove it.
    while (this.#running) await this.#running;
    const handing = this.#handOver(endpoint, activation);
    this.#running = handing.catch(() => {}).finally(() => {
      this.#running = undefined;
      if ((this.#reason || this.#changes.length) && this.#failures === 0) this.#start();
    });
    await handing;
  }

  async #handOver(endpoint: string, activation: Activation): Promise<void> {
    const { view, host, trust } = this.#context;
    trust.assert();
    if (!this.#steady || this.#closed) {
      const message = this.#problems[0] ?? `network ${this.id} is not set up on ${host.hostname} yet`;
      throw new Refusal("unavailable", message);
    }
    const { overlayVethName: name, overlayVethMac, targetVethName } = activation;
    const peer: PeerState = {
      netns: OWN_NAMESPACE,
      name: targetVethName,
      mac: findEndpoint(view, endpoint, host.hostname).record.target_veth_mac,
      addresses: [],
      mtu: this.mtu,
      up: false,
    };
    await this.#do([
      { op: "veth-add", name, mac: overlayVethMac, mtu: this.mtu, peer },
      { op: "veth-set", name, inBridge: true, up: true },
    ]);
    failpoint("join:before-commit");
    try {
      await this.#commit(() => planActivate(view, endpoint, host.hostname, activation).plan);
    } catch (error) {
      // Perhaps it is written all the same: then it is known for lost.
      this.#reason ??= "retry";
      await this.#kernel.carryOut([{ op: "veth-remove", name }]);
      throw error;
    }
    failpoint("join:after-commit");
  }

  /** Resolves when nothing is left to be done. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Ends after what is under way; the kernel stays as it is. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#hurry.abort();
    this.#announcer.close();
    clearTimeout(this.#retry);
    clearTimeout(this.#lookAgain);
    await this.#running;
    await this.#publishing;
    this.#kernel.close();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // It may have come at the very end.
      const more = this.#reason || this.#changes.length;
      if (more && !this.#failures && !this.#closed && !this.#context.trust.doubt) this.#start();
    });
  }

  async #run(): Promise<void> {
    // What comes in the same batch of events is done together.
    await Promise.resolve();
    while (!this.#closed && (this.#reason || this.#changes.length)) {
      if (this.#context.trust.doubt) return;
      const reason = this.#reason, changes = this.#changes, revision = this.#revision;
      this.#reason = undefined;
      this.#changes = [];
      const started = performance.now();
      try {
        // With a record that cannot be read the network stays, and single endpoints go from it.
        const leaves = this.#leaving() && !unreadable(this.#context, this.id)?.interfaces;
        if (reason || !this.#steady || leaves) await this.#compare(reason ?? "change", changes);
        else {
          // Where the kernel is not as it was left, that is mended with it.
          await this.#carryOut(changes).catch((error) => {
            if (this.#context.trust.doubt) throw error;
            return this.#compare("change", changes);
          });
        }
        this.#failures = 0;
        this.#settle(changes);
        this.#tellProblems("all");
        const neighbours = new Neighbours(this.#context.view, this.id, this.#context.host.hostname);
        this.#announcer.notice(changes, (address) => neighbours.macOf(address));
        this.#publish(revision, reason === undefined && changes.every((change) => this.#isOwn(change)));
      } catch (error) {
        if (this.#context.trust.doubt) return;
        this.#failed(error, changes);
        return;
      } finally {
        const seconds = (performance.now() - started) / 1000;
        this.#context.counters.reconcile.observe({ kind: reason ? "all" : "some" }, seconds);
      }
    }
    this.#publish(this.#revision, true);
  }

  /** True for a change of an endpoint that is this host's, before and after. */
  #isOwn({ before, after }: EndpointChange): boolean {
    const { hostname } = this.#context.host;
    return (before ?? after)?.host === hostname && (after ?? before)?.host === hostname;
  }

  /** Tells those who wait for one of these endpoints how it went. */
  #settle(changes: readonly EndpointChange[]): void {
    const fault = this.#networkFault();
    for (const { before, after } of changes) {
      const id = (after ?? before)?.id ?? "", waiting = this.#waiting.get(id);
      if (!waiting) continue;
      const notSetUp = fault !== undefined && this.#context.view.endpoint(id)?.active;
      const lost = after?.active && this.#context.view.endpoint(id)?.active === false;
      const problem = this.#broken.get(id) ??
        (notSetUp
          ? new Refusal("forbidden", fault)
          : lost
          ? notDone(id, "set up", new NamespaceGone(after.record.target_netns_path))
          : undefined);
      this.#waiting.delete(id);
      if (problem === undefined) waiting.resolve();
      else waiting.reject(problem);
    }
  }

  #failed(error: unknown, changes: readonly EndpointChange[]): void {
    const { log, counters, view } = this.#context;
    this.#steady = false;
    this.#reason ??= "retry";
    counters.failures.inc();
    const name = view.network(this.id)?.name ?? this.id;
    const message = `network ${name} could not be brought to what etcd says: ${messageOf(error)}`;
    if (this.#failures++ === 0) log.warn(`${message}; it is tried again`);
    this.#problems = [message];
    for (const { before, after } of changes) {
      const id = (after ?? before)?.id ?? "";
      this.#waiting.get(id)?.reject(error);
      this.#waiting.delete(id);
    }
    clearTimeout(this.#retry);
    const wait = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    const retry = () => this.#closed || this.#start();
    this.#retry = setTimeout(retry, wait * (0.8 + Math.random() * 0.4));
    // With etcd away the next try is due as soon as it is back, however long the pauses have become.
    const { mirror } = this.#context.store;
    if (mirror.state.inSync || this.#waking) return;
    this.#waking = true;
    void mirror.inSync({ signal: this.#closing.signal }).then(retry, () => {}).finally(() =>
      this.#waking = false
    );
  }

  /** True when this host has no business with the network any more. */
  #leaving(): boolean {
    const { view, host } = this.#context;
    return !view.network(this.id) || !view.space(this.id).endpointsOn(host.hostname).size;
  }

  /** Carries out what changed, at a cost that does not depend on the rest of the network. */
  async #carryOut(changes: readonly EndpointChange[]): Promise<void> {
    const { view, host } = this.#context;
    const neighbours = new Neighbours(view, this.id, host.hostname, this.#proxied, host.ip.u32);
    // Each as it is by now: of several changes of one endpoint the last one counts.
    const local = new Map<string, Set<string>>();
    const routes = new Map<string, string>(), hostEnds = new Map<string, string>();
    for (const { before, after } of changes) {
      for (const endpoint of [before, after]) {
        if (endpoint?.host !== host.hostname) continue;
        const { overlay_veth_name: name, strand_host_veth: hostEnd } = endpoint.record;
        const route = hostRouteOf(endpoint);
        if (name) local.set(endpoint.id, (local.get(endpoint.id) ?? new Set()).add(name));
        if (route !== undefined) routes.set(endpoint.id, route);
        if (hostEnd !== undefined && hostEnd === hostVethName(name)) hostEnds.set(endpoint.id, hostEnd);
      }
    }
    if (routes.size && this.#legWanted() !== this.#hasLeg) return await this.#compare("change", changes);
    if (local.size) {
      const contested = ({ before, after }: EndpointChange) =>
        [before, after].some((endpoint) => endpoint && neighbours.contested(endpoint));
      const proxied = isProxied(view, this.id, this.#options());
      if (proxied !== this.#proxied || (proxied && changes.some(contested))) {
        return await this.#compare("change", changes);
      }
    }
    await this.#do(neighbours.opsFor(changes));
    this.#renewProblems(changes, neighbours);
    const touched = new Set([...local.values()].flatMap((names) => [...names]));
    const owners = touched.size ? vethOwners(this.#local(), touched) : new Map<string, Endpoint>();
    const fresh = new Set(changes.flatMap(({ before, after }) => after && !before ? [after.id] : []));
    for (const [id, names] of local) {
      const endpoint = view.endpoint(id);
      this.#broken.delete(id);
      // What is there of it stays.
      if (endpoint && this.#refused(endpoint)) continue;
      for (const name of names) {
        // A record that names an older endpoint's veth comes and goes without it.
        const owner = owners.get(name);
        if (owner && owner.id !== id) {
          if (endpoint?.active && endpoint.record.overlay_veth_name === name) {
            this.#broken.set(id, this.#refusal(id, vethTaken(name, owner)));
          }
          continue;
        }
        const wanted = endpoint?.active && endpoint.host === host.hostname &&
            endpoint.record.overlay_veth_name === name
          ? desiredVeth(endpoint, this.#mtu ?? this.#wantedMtu(), neighbours)
          : undefined;
        await this.#one(id, async () => {
          const address = routes.get(id), leg = legName(this.id);
          const way: Op[] = address === undefined ? [] : [
            wanted && hostRouteOf(endpoint) === address
              ? { op: "leg-route-add", veth: name, leg, address }
              : { op: "leg-route-remove", leg, address },
          ];
          const end = wanted ? undefined : hostEnds.get(id);
          // Its port may be gone, by others' doing.
          const left: Op[] = end === undefined ? [] : [{ op: "host-end-remove", name: end }];
          const bring = async (actual: VethState | undefined) =>
            await this.#do([...diffVeth(name, actual, wanted), ...left, ...way], endpoint);
          if (wanted?.peer && fresh.has(id)) {
            try {
              // Of an endpoint that has just been made there is nothing, as a rule.
              return await bring(undefined);
            } catch (error) {
              if (!(error instanceof Refusal && error.code === "exists")) throw error;
            }
          }
          await bring(await this.#kernel.readVeth(name, wanted?.peer?.netns, wanted?.pinned));
        });
      }
    }
    for (const id of local.keys()) {
      const problem = this.#broken.get(id);
      // What etcd could not be asked about is tried again; what the request or its namespace is to blame for is not.
      if (problem && !(problem instanceof Refusal && problem.code !== "unavailable")) throw problem;
    }
  }

  /** Ends in the host's namespace that are left of endpoints which are gone, and whose port is too. */
  async #strays(reason: Reason, desired: NetworkState | undefined): Promise<Op[]> {
    if (reason !== "start" && !this.#hadHostEnds) return [];
    const wanted = new Set([...desired?.veths.values() ?? []].map(({ hostEnd }) => hostEnd));
    return (await this.#kernel.hostEnds()).filter((name) => !wanted.has(name))
      .map((name) => ({ op: "host-end-remove", name }));
  }

  /** True when the host is to have a route to one of its endpoints. */
  #legWanted(): boolean {
    const { view } = this.#context, network = view.network(this.id);
    for (const endpoint of this.#local()) {
      if (!network || hostRouteOf(endpoint) === undefined) continue;
      if (localFault(endpoint, network, view) === undefined) return true;
    }
    return false;
  }

  /** Does what concerns one endpoint: where it fails, the others go on. */
  async #one(endpoint: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (this.#context.trust.doubt) throw error;
      const removing = !this.#context.view.endpoint(endpoint)?.active;
      const problem = error instanceof TargetRefused
        ? this.#refusal(endpoint, error.message)
        : notDone(endpoint, removing ? "removed" : "set up", error);
      this.#broken.set(endpoint, problem);
    }
  }

  /** Compares all of the network's part of the kernel with what the store says, and mends it. */
  async #compare(reason: Reason, changes: readonly EndpointChange[]): Promise<void> {
    const { view, host, trust } = this.#context;
    const wasRight = this.#steady && this.#broken.size === 0 && !changes.length;
    this.#broken.clear();
    const fault = this.#networkFault();
    if (fault !== undefined) {
      // What is there of it stays, but for endpoints that are to go.
      this.#steady = false;
      this.#problems = [fault];
      await this.#removeGone(changes);
      return;
    }
    const { gone, unknown, identities } = this.#namespacesGone(reason);
    const refused = this.#refuseEndpoints(unknown);
    const peers = new Map<string, string>();
    for (const [name, { record: { target_netns_path: path } }] of vethOwners(this.#local())) {
      if (path && !unknown.has(name)) peers.set(name, path);
    }
    const actual = await this.#kernel.read(peers, this.#pins());
    const madeFor = byNamespace(view, host.hostname);
    for (const [endpoint, identity] of identities) {
      const name = endpoint.record.overlay_veth_name;
      const inPlace = actual?.veths.get(name)?.peer !== undefined;
      if (supersededBy(madeFor, endpoint, identity, inPlace)) gone.add(name);
    }
    const proxied = actual?.proxy !== undefined;
    const options = { ...this.#options(actual?.vxlan?.mtu), proxied };
    const { state: full, problems } = desiredState(view, this.id, options);
    const desired = full && without(full, gone);
    // What has changed in the store since it was read is not the doing of others on this host.
    const drifted = looks(reason) && wasRight && !this.#changes.length &&
      (!this.#reason || looks(this.#reason));
    this.#problems = problems;
    const unread = unreadable(this.#context, this.id);
    let ops = [...diff(actual, desired), ...await this.#strays(reason, desired)];
    if (unread) this.#problems = [...problems, unread.reason];
    this.#lookAtHosts();
    if (unread?.tables) ops = ops.filter((op) => !isOfTables(op));
    if (unread?.interfaces || refused) {
      // What is to be made anew goes first.
      const anew = (op: Op) => op.op === "veth-remove" && desired?.veths.has(op.name);
      ops = ops.filter((op) => !takesAway(op) || isOfTables(op) || anew(op));
    }
    const away = ops.some(takesAway) ? await this.#unconfirmed() : undefined;
    if (away) ops = ops.filter((op) => !takesAway(op));
    const missing = desired && !unread?.interfaces ? lostVeths(actual, without(desired, unknown)) : [];
    // Docker may be about to say itself that a container has gone.
    const lost = reason === "drift" ? [] : missing;
    this.#lookLater(missing.length > lost.length ? GRACE_MS : this.#vanished.dueInMs);
    const { network, veths } = partsOf(ops, unknown);
    const ids = new Map([...this.#local()].map(({ id, record }) => [record.overlay_veth_name, id]));
    for (const [name, { id }] of vethOwners(this.#local())) ids.set(name, id);
    // Removed ones come first: what is made anew may have one of their names.
    for (const [name, own] of veths) if (!desired?.veths.has(name)) await this.#do(own);
    await this.#do(network);
    for (const [address, mac] of network.flatMap((op) => op.op === "arp-set" ? [...op.entries] : [])) {
      // What has moved while this agent was away.
      if ((actual?.arp.get(address) ?? -1) > 0) this.#announcer.announce(address, mac);
    }
    for (const [name, own] of veths) {
      const id = ids.get(name) ?? name;
      if (desired?.veths.has(name)) await this.#one(id, () => this.#do(own, view.endpoint(id)));
    }
    const done = [...network, ...[...veths.values()].flat()];
    if (drifted && done.length) this.#drifted(done);
    // What was missing is there; the rest is tried again.
    if (away) {
      const message = `what is no longer in etcd could not be removed: ${away.message}`;
      throw new Refusal("unavailable", message, { cause: away });
    }
    this.#mtu = desired?.vxlan?.mtu;
    this.#hasLeg = desired?.leg !== undefined;
    this.#port = desired?.vxlan?.port;
    this.#proxied = desired?.proxy !== undefined;
    await this.#deactivate([...gone, ...lost].flatMap((name) => ids.get(name) ?? []));
    if (unread?.interfaces && !desired) return;
    if (!desired) {
      // Nothing is there any more to carry single changes out in.
      this.#steady = false;
      return await this.#leave();
    }
    const probeVni = await this.#context.prober.answering(this.id);
    await this.#commit(() => planPresence(view, this.id, { ...this.#presence(), probeVni }));
    await this.#tellReach();
    if (view.networksOn(host.hostname).has(this.id)) trust.joined(this.id);
    this.#steady = true;
  }

  /** Has all of it compared again, in so many ms, for what is not known to be gone yet; undefined: there is none. */
  #lookLater(ms: number | undefined): void {
    clearTimeout(this.#lookAgain);
    if (ms === undefined || this.#closed) return;
    this.#lookAgain = setTimeout(() => void this.compare("check"), ms);
  }

  /** Removes what endpoints that are no longer active here have in the kernel, without regard to the rest of the network. */
  async #removeGone(changes: readonly EndpointChange[]): Promise<void> {
    const { host } = this.#context, owners = vethOwners(this.#local());
    for (const { before } of changes) {
      if (!before?.active || before.host !== host.hostname) continue;
      const { id, record: { overlay_veth_name: name, strand_host_veth: hostEnd } } = before;
      if (!name || owners.has(name)) continue;
      const address = hostRouteOf(before), ops: Op[] = [];
      if (address !== undefined) ops.push({ op: "leg-route-remove", leg: legName(this.id), address });
      if (hostEnd !== undefined && hostEnd === hostVethName(name)) {
        ops.push({ op: "host-end-remove", name: hostEnd });
      }
      await this.#one(id, async () => {
        const actual = await this.#kernel.readVeth(name, undefined);
        await this.#do([...diffVeth(name, actual, undefined), ...ops]);
      });
    }
  }

  #announce(pairs: ReadonlyMap<number, number>): void {
    this.#kernel.announce(pairs, { learned: !this.#proxied })
      .catch((error) =>
        this.#context.log.debug(
          { network: this.id },
          `containers were not told of another MAC: ${messageOf(error)}`,
        )
      );
  }

  /** The kernel was not as this agent had left it. */
  #drifted(ops: readonly Op[]): void {
    const { counters, log, view } = this.#context;
    counters.drifted += ops.length;
    const counts = new Map<string, number>();
    for (const { op } of ops) {
      counters.drift.inc({ op });
      counts.set(op, (counts.get(op) ?? 0) + 1);
    }
    const what = [...counts].map(([op, count]) => count > 1 ? `${op} (${count})` : op).join(", ");
    log.warn(
      `network ${
        view.network(this.id)?.name ?? this.id
      } was changed on this host by others, and is mended: ${what}`,
    );
  }

  /** Carries out operations; what takes something away only once the store is known to mean it. */
  async #do(ops: readonly Op[], endpoint?: Endpoint): Promise<void> {
    if (!ops.length) return;
    if (ops.some(takesAway)) await this.#confirm();
    this.#context.trust.assert();
    // The namespace has been looked at before; the one that is opened now may be another one.
    const isTarget = (identity: string) => !endpoint || !namespaceGone(endpoint, sinceBoot(identity));
    await this.#kernel.carryOut(ops, (op) => failpoint(`op:${op.op}`), isTarget);
  }

  /**
   * Makes sure that the store has not lost what it says no more: whoever deletes networks and endpoints leaves this
   * host's own keys to it, whoever empties the store does not.
   */
  async #confirm(): Promise<void> {
    const { store, view, host, trust } = this.#context;
    const keyOf = (network: string) => view.keys.hostNetwork(host.hostname, network);
    if (view.guard(keyOf(this.id)).modRevision === 0) {
      // Never written: there is nothing to be compared with.
      if (!trust.networks.has(this.id)) return;
      // The first of many that are being lost? What is shown may lag behind.
      const all = [...trust.networks];
      const there = await store.current(all.map(keyOf));
      if (!trust.look(new Set(all.filter((_, i) => there[i]?.modRevision)))) trust.assert();
      return;
    }
    const [guard] = await store.current([keyOf(this.id)]);
    if (guard?.modRevision === 0) throw new Error("etcd is losing this host's keys: looking again");
  }

  /** Why the store could not be asked whether it means what it says; undefined when it could, and does. */
  async #unconfirmed(): Promise<Refusal | undefined> {
    try {
      await this.#confirm();
      return undefined;
    } catch (error) {
      if (this.#context.trust.doubt || !(error instanceof Refusal) || error.code !== "unavailable") {
        throw error;
      }
      return error;
    }
  }

  /**
   * Names of veths whose endpoint's namespace is gone, and of those of which that cannot be told now, see {@link Vanished}.
   * Also which namespace is at each path by now.
   */
  #namespacesGone(
    reason: Reason,
  ): { gone: Set<string>; unknown: Set<string>; identities: Map<Endpoint, string> } {
    const gone = new Set<string>(), unknown = new Set<string>(), identities = new Map<Endpoint, string>();
    const owners = vethOwners(this.#local());
    this.#vanished.keep(new Set([...this.#local()].flatMap(({ id, active }) => active ? [id] : [])));
    for (const endpoint of this.#local()) {
      const { id, active, record } = endpoint;
      if (!active || record.target_netns_path === "") continue;
      // The veth of that name is another endpoint's.
      if ((owners.get(record.overlay_veth_name) ?? endpoint) !== endpoint) continue;
      try {
        const found = this.#context.kernel.identity(record.target_netns_path);
        const identity = found && sinceBoot(found);
        if (identity !== undefined) identities.set(endpoint, identity);
        if (!namespaceGone(endpoint, identity)) {
          this.#vanished.forget(id);
          continue;
        }
        // Of one that is being made it is known at once, and at the start nothing has been seen of it before.
        const certain = reason === "start" || this.#waiting.has(id) || this.#vanished.missed(id);
        (certain ? gone : unknown).add(record.overlay_veth_name);
      } catch (error) {
        this.#broken.set(id, notDone(id, "set up", error));
        unknown.add(record.overlay_veth_name);
      }
    }
    return { gone, unknown, identities };
  }

  /** The other hosts send to where this one is now, though it had another VTEP when its endpoints were made. */
  async #tellReach(): Promise<void> {
    const { view, host } = this.#context;
    for (const { id, record } of [...this.#local()]) {
      if (record.host_ip === host.ip.toString() && record.api_hostname === host.apiHostname) continue;
      await this.#commit(() => view.endpoint(id) ? planReach(view, id, host).plan : undefined);
    }
  }

  /** Endpoints whose namespace is gone are not active any more; they keep their addresses. */
  async #deactivate(ids: readonly string[]): Promise<void> {
    const { view, host, log, counters } = this.#context;
    for (const id of ids) {
      const path = view.endpoint(id)?.record.target_netns_path;
      await this.#commit(() => view.endpoint(id) ? planDeactivate(view, id, host.hostname).plan : undefined);
      this.#vanished.forget(id);
      counters.deactivated.inc();
      log.info(
        { endpoint: id, network: this.id },
        `endpoint ${id} is inactive: the namespace that it was made for, ${path}, is gone`,
      );
    }
  }

  /** Tells the store that nothing of the network is left here. */
  async #leave(): Promise<void> {
    const { view, host, trust } = this.#context;
    await this.writer.exclusive(async () => {
      if (!this.#leaving() || this.#changes.length || this.#users) return;
      trust.left(this.id);
      failpoint("leave:before-commit");
      await this.#commit(() => this.#leaving() ? planLeave(view, this.id, host.hostname) : undefined);
      failpoint("leave:after-commit");
      if (!this.#leaving()) return;
      this.#steady = false;
      this.#applied = this.#published = this.#awaited = 0;
      this.onGone();
    });
  }

  #commit(plan: () => Plan | undefined): Promise<unknown> {
    const { store, trust } = this.#context;
    return change(store, () => {
      trust.assert();
      return plan();
    }, { unconfirmed: true });
  }

  /**
   * Tells the other hosts up to which revision this one has carried out the network's changes.
   * @param own Nothing but this host's own endpoints has changed since it was told of last.
   */
  #publish(revision: number, own: boolean): void {
    const { view, host } = this.#context;
    if (!this.#steady) return;
    if (!this.#applied) {
      for (const { entries } of view.space(this.id).endpoints.values()) {
        for (const { modRevision } of entries) this.#applied = Math.max(this.#applied, modRevision);
      }
    }
    this.#applied = Math.max(this.#applied, revision);
    if (this.#applied === this.#published) return;
    if (!own) this.tellSoon(this.#applied);
    this.#publishing ??= this.#tell(host.hostname).finally(() => this.#publishing = undefined);
  }

  async #tell(hostname: string): Promise<void> {
    const { view, log } = this.#context, { signal } = this.#closing;
    while (this.#applied !== this.#published && !this.#closed) {
      this.#hurry = new AbortController();
      if (this.#awaited <= this.#published) {
        await delay(LONGEST_SILENCE, this.#hurry.signal);
      }
      // Each host hears from all others: what etcd has to deliver does not grow with the square of their number, and
      // first of all comes what the change asks of them.
      const hosts = view.space(this.id).hosts.size;
      await delay(Math.min(hosts * hosts / 10, LONGEST_SILENCE), signal);
      const revision = this.#applied;
      try {
        await this.#commit(() =>
          view.networksOn(hostname).has(this.id) ? planApplied(view, this.id, hostname, revision) : undefined
        );
        failpoint("applied:after-commit");
        this.#published = revision;
      } catch (error) {
        // The next change tells it, or the next comparison.
        log.debug({ network: this.id }, `what is applied could not be told: ${messageOf(error)}`);
        return;
      }
    }
  }

  #presence() {
    return { hostname: this.#context.host.hostname, mtu: this.#mtuHere(), now: timestamp() };
  }

  #local(): ReadonlySet<Endpoint> {
    const { view, host } = this.#context;
    return view.space(this.id).endpointsOn(host.hostname);
  }

  #options(currentMtu = this.#mtu) {
    const { host, underlayMtu } = this.#context;
    return {
      hostname: host.hostname,
      vtep: host.ip.u32,
      underlayMtu: underlayMtu(),
      currentMtu,
      proxied: this.#proxied,
    };
  }

  /** The MACs that the ports of its active endpoints may be known for, by the ports' names. */
  #pins(): Map<string, string> {
    const pins = new Map<string, string>();
    for (const [name, { mac }] of vethOwners(this.#local())) if (mac) pins.set(name, mac);
    return pins;
  }

  #mtuHere(): number {
    return mtuHere(this.#options());
  }

  #wantedMtu(): number {
    return mtuOf(this.#context.view, this.id, this.#options());
  }

  /** Why the network is not set up from its record; what is there of it stays. */
  #networkFault(): string | undefined {
    const { view } = this.#context, network = view.network(this.id);
    const wrong = network && (view.isPartial(this.id) || networkFault(network) !== undefined);
    return wrong ? networkProblem(view, this.id) : undefined;
  }

  /** Refuses endpoints of this host whose records are not carried out, and adds their veths to those left as they are. */
  #refuseEndpoints(unknown: Set<string>): boolean {
    let refused = false;
    const owners = vethOwners(this.#local());
    for (const endpoint of this.#local()) {
      if (!this.#refused(endpoint)) continue;
      refused = true;
      const name = endpoint.record.overlay_veth_name;
      // The veth of that name may be another endpoint's.
      if ((owners.get(name) ?? endpoint) === endpoint) unknown.add(name);
    }
    return refused;
  }

  /** Says of each changed endpoint what keeps other hosts' records from being carried out. */
  #renewProblems(changes: readonly EndpointChange[], neighbours: Neighbours): void {
    const { view } = this.#context;
    for (const { before, after } of changes) {
      const id = (after ?? before)?.id ?? "", endpoint = view.endpoint(id);
      const problem = endpoint?.network === this.id ? neighbours.problem(endpoint) : undefined;
      if (problem === undefined && !this.#problems.length) continue;
      const others = this.#problems.filter((other) => !other.includes(id));
      const name = view.network(this.id)?.name;
      this.#problems = problem === undefined ? others : [...others, `network ${name}: ${problem}`];
    }
  }

  /** What hosts say of the network, and is not believed. */
  #lookAtHosts(): void {
    const { view } = this.#context, found = presenceProblems(view, this.id);
    if (!found.length && !this.#hostProblems.length) return;
    this.#hostProblems = found;
    this.#tellProblems("some");
  }

  /** True for an active endpoint of this host whose record is not carried out, which is a problem of it from then on. */
  #refused(endpoint: Endpoint): boolean {
    const { view, host } = this.#context, network = view.network(this.id);
    if (!network || !endpoint.active || endpoint.host !== host.hostname) return false;
    const fault = localFault(endpoint, network, view);
    if (fault === undefined) return false;
    this.#broken.set(endpoint.id, this.#refusal(endpoint.id, fault));
    return true;
  }

  /** Of an endpoint of this host. */
  #refusal(id: string, why: string): Refusal {
    const { view, host } = this.#context;
    return new Refusal("forbidden", notCarriedOut(view.keys.hostEndpoint(host.hostname, id), why));
  }

  /**
   * Logs and counts each problem with a record once, as long as it stays.
   * @param known "some": a comparison is under way, and what is not among them may come yet
   */
  #tellProblems(known: "all" | "some"): void {
    const { log, counters } = this.#context;
    const now = new Set(this.problems.filter((problem) => REFUSED.test(problem)));
    for (const problem of now) {
      if (this.#told.has(problem)) continue;
      log.warn({ network: this.id }, problem);
      counters.refusedRecords.inc();
    }
    this.#told = known === "all" ? now : now.union(this.#told);
  }
}

/** True for a comparison that nothing in the store has asked for. */
function looks(reason: Reason): boolean {
  return reason === "check" || reason === "drift";
}

interface Waiting extends PromiseWithResolvers<void> {
  /** How many wait. */
  count: number;
}

/** Where the request was wrong, that is told as such. */
function notDone(endpoint: string, what: "set up" | "removed", error: unknown): Error {
  const message = `endpoint ${endpoint} could not be ${what}: ${messageOf(error)}`;
  if (error instanceof Refusal) return new Refusal(error.code, message, { cause: error });
  if (error instanceof NamespaceGone) return new Refusal("invalid", message, { cause: error });
  return new Error(message, { cause: error });
}

function without(state: NetworkState, veths: ReadonlySet<string>): NetworkState {
  return { ...state, veths: new Map([...state.veths].filter(([name]) => !veths.has(name))) };
}
