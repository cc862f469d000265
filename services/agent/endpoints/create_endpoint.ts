/**
 * Creates an endpoint on this host, for POST /endpoints and for attachments of a container runtime, from the checked
 * request to the answer.
 */
import { deadline } from "../../common/async.ts";
import { Cidr } from "../../common/ip.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { inSpan, type Span, traceparentOf } from "../../common/tracing.ts";
import type { EndpointRequest } from "../../overlay/create_endpoints.ts";
import type { Activation } from "../../overlay/endpoints.ts";
import { hostVethName } from "../../overlay/faults.ts";
import { findNetwork } from "../../overlay/networks.ts";
import { confirmedRead } from "../../store/change.ts";
import type { RouteState } from "../../overlay/state.ts";
import type { EndpointRecord, NetworkRecord } from "../../store/sand_records.ts";
import type { CreateRequest, CreateResult } from "../api.ts";
import { timestamp } from "../../common/timestamp.ts";
import { type Context, sinceBoot } from "../context.ts";
import { failpoint } from "../failpoints.ts";
import { OWN_NAMESPACE } from "../kernel/network_namespace.ts";
import { refuseWayToHost } from "../reconcile/range_conflicts.ts";
import type { NetworkWorker } from "../reconcile/network.ts";
import type { Workers } from "../reconcile/networks.ts";
import { deactivate, staleAt } from "../reconcile/stale.ts";
import { randomMac, type VethNames } from "./veth_names.ts";
import { writtenIn } from "./write_spans.ts";

/**
 * How long this host may take to set up an endpoint whose record is written, in ms; if etcd loses events, it never
 * does.
 */
export const SET_UP_MS = 10_000;

/** The metric of a default route that was not asked for: any other one that the namespace gets later is preferred. */
const LAST = 4096;

/** The objects by which endpoints are created on this host. */
export interface EndpointMaker {
  readonly context: Context;
  readonly workers: Workers;
  readonly names: VethNames;
}

/**
 * Makes an endpoint on this host.
 *
 * The network's worker is kept for as long as this takes. The container's namespace is opened and checked, and names are
 * chosen for the two ends of the veth. The worker's writer then plans the endpoint together with its address from the
 * mirror of etcd, and commits both in one transaction, which requests that come at the same time share. That write comes
 * back as an event of etcd's like any other host's: the mirror takes it in, the worker makes the veth, and this waits until
 * it has. What cannot be set up is deleted again, so that a refused request leaves nothing behind. Last, where the request
 * asks for it, the other hosts of the network are waited for.
 *
 * All of it is one span, of which the record in etcd tells the other hosts, so that what they do for the endpoint is in its trace.
 *
 * @throws Refusal
 */
export function createEndpoint(maker: EndpointMaker, request: CreateRequest): Promise<CreateResult> {
  const attributes = { "host.name": maker.context.host.hostname, "strand.network": request.network };
  return inSpan(
    "create endpoint",
    { parent: request.parent, attributes },
    (span) => create(maker, request, span),
  );
}

async function create(
  maker: EndpointMaker,
  request: CreateRequest,
  span: Span | undefined,
): Promise<CreateResult> {
  const { context, workers, names } = maker, { view, store } = context, parent = span?.spanContext();
  const network = await confirmedRead(store, () => findNetwork(view, request.network));
  await refuseWayToHost(context, network, request);
  const { worker, release } = await workers.use(network.id);
  const reserved: string[] = [];
  try {
    const out = await defaultRoute(context, network, request), { netns, waitMs } = request;
    const wanted = { ...request, routes: [...request.routes ?? [], ...out.routes] };
    const activation = netns === undefined ? undefined : await inSpan(
      "inspect namespace",
      { parent },
      () => prepareActivation(maker, worker, netns, wanted, reserved),
    );
    const { record, revision } = await writeAndSetUp(worker, request, activation, span);
    failpoint("endpoint:after-kernel");
    await compareWhereReplaced(context, worker, activation);
    const pending = waitMs
      ? await inSpan("wait for hosts", { parent }, () => waitForHosts(context, worker, revision, waitMs))
      : [];
    return { endpoint: view.endpoint(record.id)?.record ?? record, pending, keepsRoute: out.keepsRoute };
  } finally {
    names.release(reserved);
    release();
  }
}

/** The route to the world that a request asks for, where its network has egress and the namespace has no default route. */
async function defaultRoute(
  { view, kernel }: Context,
  { id, gateway }: NetworkRecord,
  { netns, wayOut }: CreateRequest,
): Promise<{ readonly routes: readonly RouteState[]; readonly keepsRoute: boolean }> {
  if (!wayOut || netns === undefined || !view.space(id).settings?.overlay.egress) {
    return { routes: [], keepsRoute: false };
  }
  using target = kernel.inspect(netns);
  if (await target.hasDefaultRoute()) return { routes: [], keepsRoute: true };
  const gw = Cidr.parse(gateway, "gateway").address.toString();
  return { routes: [{ dst: "0.0.0.0/0", gw, priority: LAST }], keepsRoute: false };
}

/** Checks the namespace and chooses the veth's names, which stay reserved in `reserved`. */
async function prepareActivation(
  { context, workers, names }: EndpointMaker,
  worker: NetworkWorker,
  path: string,
  { interfaceName, routes = [], hostRoute = false, hostVeth = false }: CreateRequest,
  reserved: string[],
): Promise<Activation> {
  const { kernel } = context;
  using target = kernel.inspect(path);
  const identity = sinceBoot(target.identity);
  if (interfaceName !== undefined && target.has(interfaceName)) {
    for (const endpoint of staleAt(context, path, identity)) {
      if (endpoint.record.target_veth_name !== interfaceName) continue;
      await deactivate(context, workers, endpoint);
    }
  }
  await target.assertContainers(path);
  if (interfaceName !== undefined && target.has(interfaceName)) {
    throw new Refusal("exists", `there is an interface called ${interfaceName} in ${path} already`);
  }
  using here = hostVeth ? kernel.inspect(OWN_NAMESPACE) : undefined;
  const choose = () => {
    const name = names.choose((name) =>
      target.has(name) || here?.has(name) || here?.has(hostVethName(name)) || worker.hasVeth(name)
    );
    reserved.push(name);
    return name;
  };
  const overlayVethName = choose();
  return {
    targetNetnsPath: path,
    targetNetnsIdentity: identity,
    overlayVethName,
    overlayVethMac: randomMac(),
    targetVethName: interfaceName ?? choose(),
    routes,
    hostRoute,
    hostVethName: hostVeth ? hostVethName(overlayVethName) : undefined,
  };
}

/** Writes the endpoint and, where it is to be active, waits until it is set up here; deletes it again where it cannot be. */
async function writeAndSetUp(
  worker: NetworkWorker,
  { address, mac, name, wishedName, aliases, wishedAliases, attachment, allowed }: CreateRequest,
  activation: Activation | undefined,
  span: Span | undefined,
): Promise<{ record: EndpointRecord; revision: number }> {
  const id = crypto.randomUUID();
  span?.setAttribute("strand.endpoint", id);
  const setUp = activation && worker.whenApplied(id);
  const wanted: EndpointRequest = {
    id,
    now: timestamp(),
    address,
    mac,
    name,
    wishedName,
    aliases,
    wishedAliases,
    activation,
    attachment,
    allowed,
    traceparent: traceparentOf(span),
  };
  const written = await writtenIn(span, () => worker.writer.create(wanted)).catch((error) => {
    worker.forget(id);
    throw error;
  });
  if (!setUp) return written;
  const { hostname } = written.record;
  try {
    await deadline(setUp, SET_UP_MS, () => {
      const message = `endpoint ${id} is not set up on ${hostname} after ${SET_UP_MS / 1000} s`;
      throw new Refusal("unavailable", message);
    });
    return written;
  } catch (error) {
    worker.forget(id);
    await deleteFailed(worker, id, error);
    throw error;
  }
}

/**
 * Deletes an endpoint that could not be set up, whose parts may be in etcd or the kernel: a client that is refused
 * must find nothing of it.
 */
async function deleteFailed(worker: NetworkWorker, id: string, error: unknown): Promise<void> {
  const gone = worker.whenApplied(id);
  await worker.writer.delete(id).catch((cause) => {
    worker.forget(id);
    const message = `${messageOf(error)}; and it could not be taken back: ${messageOf(cause)}`;
    throw new Refusal("unavailable", message, { cause });
  });
  // The record is gone from etcd; what is left in the kernel is removed by the next comparison.
  await deadline(gone, SET_UP_MS).catch(() => {});
}

/** A container that was replaced leaves endpoints of its former namespace: those of this network become inactive now. */
async function compareWhereReplaced(
  context: Context,
  worker: NetworkWorker,
  activation: Activation | undefined,
): Promise<void> {
  if (!activation) return;
  const { targetNetnsPath: path, targetNetnsIdentity: identity = "" } = activation;
  const stale = staleAt(context, path, identity);
  if (stale.some(({ network }) => network === worker.id)) await worker.compare("change");
}

/** Waits until every host has applied that revision. @returns the hosts that have not */
export async function waitForHosts(
  { view }: Context,
  worker: NetworkWorker,
  revision: number,
  waitMs: number,
): Promise<string[]> {
  const network = worker.id;
  worker.publishSoon(revision);
  const behind = () => view.space(network).hostsBehind(revision);
  if (behind().length) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = view.subscribe((changes) => changes.has(network) && !behind().length && resolve());
    await deadline(promise, waitMs);
    stop();
  }
  // SAND's agents do not report what they have applied.
  return [...behind(), ...view.space(network).oldHosts()].sort();
}
