/** Plans that create and delete networks. */
import { Refusal } from "../common/refusal.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import { type NetworkRecord, writeSandRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { checkNetwork, type NetworkRequest } from "./check_network.ts";
import { freshBits, writeBits } from "./claims.ts";
import { PROBE_VNI, VXLAN_PORT } from "./state.ts";
import type { OverlayView } from "./view.ts";

/** Inputs of a new network that come from the host and the moment; the same for every attempt of one request. */
export interface NewNetworkOptions {
  /** A random v4 UUID. */
  readonly newId: string;
  /** RFC 3339 with nanoseconds. */
  readonly now: string;
  /** The path of a network's namespace on this host. */
  readonly namespacePath: (id: string) => string;
  readonly minVni: number;
  readonly maxVni: number;
  /** The UDP port of its VXLAN packets. */
  readonly vxlanPort: number;
}

/** A plan and the record that it writes. No plan: an earlier attempt has written it already. */
export interface Planned<T> {
  readonly record: T;
  readonly plan: Plan | undefined;
}

/**
 * Plans a new network with the lowest free VNI.
 *
 * @throws Refusal "invalid", "exists" for an id that is in use, "exhausted" when no VNI is left.
 */
export function planCreateNetwork(
  view: OverlayView,
  request: NetworkRequest,
  options: NewNetworkOptions,
): Planned<NetworkRecord> {
  const { id, name, type, ip_range, gateway } = checkNetwork(request, options.newId);
  const existing = view.network(id);
  if (existing?.created_at === options.now && existing.name === name) {
    return { record: existing, plan: undefined };
  }
  if (existing) {
    throw new Refusal("exists", `id: network ${id} exists already, with the name ${existing.name}`);
  }
  const unchanged = view.networksUnchanged();
  const record: NetworkRecord = {
    id,
    created_at: options.now,
    name,
    type,
    ns_handle_path: options.namespacePath(id),
    vxlan_vni: lowestVni(view, options),
    ...options.vxlanPort === VXLAN_PORT ? {} : { strand_vxlan_port: options.vxlanPort },
    ip_range,
    gateway,
  };
  const key = view.keys.network(id);
  const builder = new PlanBuilder()
    .guard(view.guard(key))
    .unchanged(unchanged.prefix, unchanged.unchangedSince)
    .nothingUnder(view.keys.vniLocks)
    .put(key, writeSandRecord(record));
  // A SAND agent that deletes a network leaves its claims, and does not know the allocation cursor, which must start
  // over.
  if (view.cursor(id)) builder.remove(view.keys.cursor(id));
  const claims = { guard: view.newest(view.keys.allocation(id)), record: undefined };
  writeBits(view, record, claims, freshBits(record), builder);
  if (view.deleted.has(id)) builder.remove(view.keys.deleted(id));
  return { record, plan: builder.plan() };
}

function lowestVni(
  view: OverlayView,
  { minVni, maxVni }: Pick<NewNetworkOptions, "minVni" | "maxVni">,
): number {
  const used = new Set<number>();
  for (const { vxlan_vni } of view.networks()) used.add(vxlan_vni);
  used.add(PROBE_VNI);
  for (let vni = minVni; vni <= maxVni; vni++) if (!used.has(vni)) return vni;
  throw new Refusal(
    "exhausted",
    `none of the ${
      maxVni - minVni + 1
    } VNIs is left, from ${minVni} to ${maxVni}: delete a network or raise MAX_VNI`,
  );
}

/** Finds a network by id. Throws Refusal "not-found". */
export function findNetwork(view: OverlayView, id: string): NetworkRecord {
  const network = view.network(id);
  if (!network) throw new Refusal("not-found", `there is no network "${id}"`);
  return network;
}

/**
 * The network of that id, or else the one that commands know by that name, or else the only one whose record has it.
 *
 * @throws Refusal "not-found", and "conflict" where several records have the name
 */
export function networkNamed(view: OverlayView, wanted: string): NetworkRecord {
  const known = view.network(wanted.toLowerCase()) ?? view.network(view.networkNamed(wanted) ?? "");
  if (known) return known;
  const [found, ...others] = [...view.networks()].filter(({ name }) => name === wanted);
  if (!found) throw new Refusal("not-found", `there is no network "${wanted}"`);
  if (!others.length) return found;
  const all = [found, ...others].map(({ id }) => id).sort().join(", ");
  throw new Refusal(
    "conflict",
    `${others.length + 1} networks are called ${wanted}: name one by its id, ${all}`,
  );
}

/** The result of planning a network's deletion. */
export interface NetworkDeletion {
  /** Several plans are committed in order. */
  readonly plan: Plan | readonly Plan[] | undefined;
  /** Hosts with a SAND agent that still have the network: its record stays until the last of them has left it. */
  readonly waitsFor: readonly string[];
}

/**
 * Plans to delete a network. When its record is gone, every host with this agent tears its part down. SAND's agents
 * do not, so while one of them has the network the record stays, marked as deleted.
 *
 * @param now RFC 3339 with nanoseconds.
 * @param found The state that earlier attempts of this request found or were about to write: if it has changed, they changed
 *   it.
 * @throws Refusal "not-found", "forbidden" while the network has endpoints, "conflict" when it is being deleted
 *   already
 */
export function planDeleteNetwork(
  view: OverlayView,
  id: string,
  now: string,
  found: Set<string> = new Set(),
): NetworkDeletion {
  if (found.has(id) && !view.network(id)) return { plan: undefined, waitsFor: [] };
  const network = findNetwork(view, id), mark = view.keys.deleted(id);
  found.add(id);
  view.refuseUnreadable(id);
  const { endpoints } = view.space(id);
  if (endpoints.size) {
    const [first] = endpoints.values();
    const { strand_name: name, target_veth_ip: address = "" } = first?.record ?? {};
    const called = name ?? address.split("/")[0];
    throw new Refusal(
      "forbidden",
      `network ${network.name} still has endpoints (${endpoints.size}), the first ${first?.id}${
        called && ` (${called})`
      } on ${first?.host}: delete them first`,
    );
  }
  const waitsFor = view.space(id).oldHosts();
  if (waitsFor.length === 0) return { plan: removal(view, id).plan(), waitsFor };
  if (view.isDeleted(id) && found.has(mark)) return { plan: undefined, waitsFor };
  if (view.isDeleted(id)) {
    throw new Refusal(
      "conflict",
      `network ${network.name} is being deleted already: it goes as soon as no host with an agent of SAND has it any ` +
        `more, now ${waitsFor.join(", ")}`,
    );
  }
  found.add(mark);
  // A mark that an earlier network of this id left would keep its create revision, so it is removed first.
  const stale = view.deleted.has(id) ? [new PlanBuilder().guard(view.guard(mark)).remove(mark).plan()] : [];
  const builder = new PlanBuilder()
    .guard(view.guard(view.keys.network(id)), view.guard(mark))
    .nothingUnder(view.keys.networkEndpoints(id))
    .put(mark, writeSandRecord({ created_at: now }));
  return { plan: [...stale, builder.plan()], waitsFor };
}

/**
 * Plans the next step for a network that is marked as deleted: none while a host with a SAND agent has it, then its
 * removal. A network in which a SAND agent has created endpoints again is kept.
 */
export function planFinishDeletion(view: OverlayView, id: string): Plan | undefined {
  if (!view.deleted.has(id)) return undefined;
  const mark = view.keys.deleted(id);
  const { endpoints } = view.space(id);
  if (!view.network(id) || endpoints.size || !view.isDeleted(id)) {
    return new PlanBuilder().guard(view.guard(mark)).remove(mark).plan();
  }
  return view.space(id).oldHosts().length ? undefined : removal(view, id).plan();
}

/**
 * Removes the network's keys. The hosts' own keys stay: each host removes them when it has removed its kernel state,
 * even after crashes.
 */
function removal(view: OverlayView, id: string): PlanBuilder {
  const { keys } = view;
  const builder = new PlanBuilder()
    .guard(view.guard(keys.network(id)))
    .nothingUnder(keys.networkEndpoints(id))
    .remove(keys.network(id));
  // A record that cannot be parsed is removed too.
  const claims = view.newest(keys.allocation(id));
  if (claims.modRevision) {
    // A SAND agent that holds this lock is about to write the bit set again.
    builder.guard(claims).nothingUnder(keys.allocationLocks(id)).remove(claims.key);
  }
  // A plan without guards is sent only after the fence is written, which an etcd without space refuses; so this
  // removal has a guard.
  const cursor = view.guard(keys.cursor(id));
  if (cursor.modRevision) builder.guard(cursor).remove(cursor.key);
  if (view.deleted.has(id)) builder.remove(keys.deleted(id));
  // A host that is setting the network up may run a SAND agent, which would keep it.
  let newest = 0;
  for (const host of view.space(id).hosts.keys()) {
    newest = Math.max(newest, view.guard(keys.networkHost(id, host)).modRevision);
  }
  return builder.unchanged(keys.networkHosts(id), newest);
}
