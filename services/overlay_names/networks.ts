/** Plans that make, adopt, change and delete named networks: an overlay network with its name and settings in one transaction. */
import { Cidr, Ip } from "../common/ip.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { checkNetwork } from "../nex/check_network.ts";
import { inRange, type Network } from "../nex/network.ts";
import { type Action, unknownFields } from "../nex/networks.ts";
import { strandingOptions } from "../nex/stranding_options.ts";
import { gatewayOf, rangeOf } from "../overlay/claims.ts";
import { networkProblem } from "../overlay/faults.ts";
import { type NewNetworkOptions, planCreateNetwork } from "../overlay/networks.ts";
import type { Space } from "../overlay/space.ts";
import type { OverlayView } from "../overlay/view.ts";
import { keyOf } from "../store/keys.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { NexNetworkRecord } from "../store/records.ts";
import { type OverlayOptions, type SettingsRecord, writeSandRecord } from "../store/sand_records.ts";
import { type Guard, type Plan } from "../store/types.ts";
import {
  derivedFrom,
  effectiveNetwork,
  effectiveRecord,
  type NamedNetwork,
  withoutDerived,
} from "./effective.ts";

/** A named network as a request has it. */
export interface NamedRequest {
  /** Its fields; what is not given is derived. */
  readonly network: NexNetworkRecord;
  /** The overlay network that gets the name; undefined: a new one, or the one that has it. */
  readonly id?: string | undefined;
  readonly overlay: OverlayOptions;
  /** False: one that exists with other contents is refused. */
  readonly update?: boolean;
}

/** The outcome for a named network, and the plan for it; no plan: nothing is to be done. */
export interface PlannedNamed {
  readonly named: NamedNetwork;
  readonly action: Action;
  readonly plan: Plan | undefined;
}

/** The longest domain, so that each label in it makes a name (RFC 1035 §2.3.4). */
const LONGEST_DOMAIN = 253 - 64;

/** The named network of that name; undefined where there is none, or its overlay network is gone. */
export function namedNetwork(view: OverlayView, name: string): NamedNetwork | undefined {
  const id = view.networkNamed(name), record = id === undefined ? undefined : view.network(id);
  if (!record) return undefined;
  return { name, record, settings: view.space(record.id).settings ?? nothingSet(name) };
}

/**
 * Finds a named network, for plans and answers that need all of its records. Throws Refusal "not-found", "forbidden".
 */
export function findNamed(view: OverlayView, name: string): NamedNetwork {
  const named = namedNetwork(view, name);
  if (!named) throw new Refusal("not-found", `there is no network "${name}"`);
  const problem = networkProblem(view, named.record.id);
  if (problem !== undefined) throw new Refusal("forbidden", problem);
  return named;
}

/** The guards of a new flat network's name. Throws Refusal "exists" where a named network has it. */
export function guardFlatName(view: OverlayView, name: string): Guard[] {
  if (namedNetwork(view, name)) {
    throw new Refusal(
      "exists",
      `network ${name} exists with an overlay: change it with overlay: {} in its spec, or take another name`,
    );
  }
  return [view.newest(view.keys.networkName(name))];
}

/**
 * Plans that a network is what the request says: it is made, adopted or changed. Fields and options that the request leaves out
 * are derived from then on.
 */
export function planNamed(
  view: OverlayView,
  request: NamedRequest,
  options: NewNetworkOptions,
): PlannedNamed {
  const { network: { name } } = request;
  const existing = namedNetwork(view, name);
  if (existing) return planChangeNamed(view, existing, request);
  if (view.networkNamed(name) !== undefined) {
    throw new Refusal("conflict", `what the deleted network ${name} has left is being removed: try again`);
  }
  return request.id ? planAdoption(view, request, request.id) : planNew(view, request, options);
}

function planNew(
  view: OverlayView,
  { network, overlay }: NamedRequest,
  options: NewNetworkOptions,
): PlannedNamed {
  refuseIpv6(network);
  const { name, subnet4, gateways = [] } = checkNetwork(network);
  if (gateways.length > 1) {
    throw invalid(
      `network ${name}: gateways: ${
        gateways.join(", ")
      }: an overlay network has one gateway, at which its hosts answer`,
    );
  }
  const request = { name, ip_range: subnet4, gateway: gateways[0] };
  const { record, plan } = inWordsOf(name, () => planCreateNetwork(view, request, options));
  const set = checkSettings({ name, record }, network);
  const settings = { network: set, overlay: { contain: true, ...overlay } };
  const builder = new PlanBuilder();
  if (plan) builder.add(plan);
  return {
    named: { name, record, settings },
    action: "created",
    plan: withName(view, name, record.id, settings, builder),
  };
}

function planAdoption(view: OverlayView, { network, overlay }: NamedRequest, given: string): PlannedNamed {
  const id = given.toLowerCase(), record = view.network(id), { name } = network;
  const field = `network ${name}: overlay.id`;
  if (!record) throw new Refusal("not-found", `${field}: there is no overlay network "${given}"`);
  const problem = networkProblem(view, id);
  if (problem !== undefined) throw new Refusal("forbidden", `${field}: ${problem}`);
  if (view.isDeleted(id)) throw new Refusal("forbidden", `${field}: ${id} is being deleted`);
  for (const [other, of] of view.networkNames()) {
    if (of === id) throw new Refusal("exists", `${field}: ${id} has the name ${other} already`);
  }
  view.refuseUnreadable(id);
  const settings = { network: checkSettings({ name, record }, network), overlay, adopted: true };
  const named = { name, record, settings };
  refuseStranded(
    view.space(id),
    effectiveNetwork({ name, record, settings: nothingSet(name) }),
    effectiveNetwork(named),
  );
  const builder = new PlanBuilder().guard(view.guard(view.keys.network(id)));
  unchangedHolders(view, id, builder);
  return { named, action: "created", plan: withName(view, name, id, settings, builder) };
}

function nothingSet(name: string): SettingsRecord {
  return { network: { name }, overlay: {} };
}

/** Completes the plan of a network that gets a name, which is neither that of another named network nor that of a flat one. */
function withName(
  view: OverlayView,
  name: string,
  id: string,
  settings: SettingsRecord,
  builder: PlanBuilder,
): Plan {
  const key = view.keys.networkName(name), of = view.keys.settings(id);
  return builder.guard(view.guard(key), { key: keyOf.network(name), modRevision: 0 }, view.newest(of))
    .put(key, writeSandRecord({ id })).put(of, writeSandRecord(settings)).plan();
}

/** Plans new settings of a named network; refuses what its machines forbid. */
export function planChangeNamed(
  view: OverlayView,
  before: NamedNetwork,
  request: NamedRequest,
): PlannedNamed {
  const { network, id, overlay, update = true } = request;
  const { name, record } = before;
  findNamed(view, name);
  if (id && id.toLowerCase() !== record.id) {
    throw new Refusal(
      "forbidden",
      `network ${name}: overlay.id: ${id} is not ${record.id}, the overlay network that has this name`,
    );
  }
  if (view.isDeleted(record.id)) throw new Refusal("forbidden", `network ${name} is being deleted`);
  view.refuseUnreadableNames(record.id);
  const contain = before.settings.adopted ? {} : { contain: true };
  const settings: SettingsRecord = {
    ...before.settings,
    network: { ...unknownFields(before.settings.network), ...checkSettings(before, network) },
    overlay: { ...unknownOptions(before.settings.overlay), ...contain, ...overlay },
  };
  const named = { ...before, settings };
  if (sameSettings(before, named)) return { named: before, action: "unchanged", plan: undefined };
  if (!update) {
    throw new Refusal(
      "exists",
      `network ${name} exists with other settings; change it with: nex set network`,
    );
  }
  const [was, now] = [effectiveNetwork(before), effectiveNetwork(named)];
  const builder = new PlanBuilder().guard(
    view.guard(view.keys.networkName(name)),
    view.guard(view.keys.network(record.id)),
    view.guard(view.keys.settings(record.id)),
  );
  if (was.range4?.begin !== now.range4?.begin || was.range4?.end !== now.range4?.end) {
    view.refuseUnreadable(record.id);
    refuseStranded(view.space(record.id), was, now);
    unchangedHolders(view, record.id, builder);
  }
  builder.put(view.keys.settings(record.id), writeSandRecord(settings));
  return { named, action: "updated", plan: builder.plan() };
}

/** The options that this version does not know. */
function unknownOptions(options: OverlayOptions): OverlayOptions {
  const known = new Set(["dhcp", "dns", "forward", "egress", "contain", "trusted", "broadcast"]);
  return Object.fromEntries(Object.entries(options).filter(([option]) => !known.has(option)));
}

function sameSettings(a: NamedNetwork, b: NamedNetwork): boolean {
  const text = (named: NamedNetwork) => {
    const parts = [effectiveRecord(named), named.settings.overlay];
    return JSON.stringify(
      parts.map((part) => Object.entries(part).filter(([, v]) => v !== undefined).sort()),
    );
  };
  return text(a) === text(b);
}

/** A plan that fails when an endpoint or a reservation of the network has changed. */
function unchangedHolders(view: OverlayView, id: string, builder: PlanBuilder): void {
  for (const prefix of [view.keys.networkEndpoints(id), view.keys.reservations(id)]) {
    builder.unchanged(prefix, view.newestUnder(prefix));
  }
}

/** The given fields in canonical form, without those that are derived; refuses what the overlay network rules out. */
function checkSettings(
  { name, record }: Omit<NamedNetwork, "settings">,
  given: NexNetworkRecord,
): NexNetworkRecord {
  refuseIpv6(given);
  const derived = derivedFrom(name, record), field = (f: string) => `network ${name}: ${f}`;
  const range = rangeOf(record), gateway = gatewayOf(record).toString();
  const subnet = given.subnet4 ? Cidr.parse(given.subnet4, field("subnet4")).masked : range;
  if (subnet.toString() !== range.toString()) {
    throw new Refusal(
      "forbidden",
      `${
        field("subnet4")
      }: ${subnet} is not ${range}: the range of an overlay network cannot change; make a new network`,
    );
  }
  const set = checkNetwork({ ...given, name, subnet4: range.toString() });
  if (set.gateways && set.gateways.join() !== gateway) {
    throw new Refusal(
      "forbidden",
      `${field("gateways")}: ${
        set.gateways.join(", ")
      } is not ${gateway}: the gateway of an overlay network cannot change; ` +
        "make a new network",
    );
  }
  if (set.dhcp4server && set.dhcp4server !== gateway) {
    throw invalid(
      `${
        field("dhcp4server")
      }: ${set.dhcp4server} is not the gateway ${gateway}, at which the hosts of an overlay network answer`,
    );
  }
  const [stranding] = strandingOptions(set);
  if (stranding !== undefined) throw invalid(field(stranding));
  if ((set.domain ?? "").length > LONGEST_DOMAIN) {
    throw invalid(
      `${field("domain")}: "${set.domain}" leaves no room for names: at most ${LONGEST_DOMAIN} characters`,
    );
  }
  return withoutDerived(set, derived);
}

function refuseIpv6(given: NexNetworkRecord): void {
  for (const field of ["subnet6", "dhcp6server", "Range6"] as const) {
    const value = given[field];
    if (!value || (typeof value === "object" && !value.begin && !value.end)) continue;
    const shown = typeof value === "object" ? `${value.begin}-${value.end}` : value;
    throw invalid(
      `network ${given.name}: ${field.toLowerCase()}: ${shown}: an overlay network has IPv4 addresses only`,
    );
  }
}

/** Refuses a range that leaves out an address which was in it and is in use. */
function refuseStranded(space: Space, before: Network, after: Network): void {
  const refuse = (ip: Ip | undefined, who: string) => {
    if (!ip || !inRange(before, ip) || inRange(after, ip)) return;
    const { begin, end } = after.record.Range4 ?? {};
    throw new Refusal(
      "forbidden",
      `network ${after.name}: range4: ${begin}-${end} does not hold ${ip} of ${who}: give it a range that does`,
    );
  };
  for (const { id, host, address } of space.endpoints.values()) refuse(address, `endpoint ${id} on ${host}`);
  for (const { mac, ip4 } of space.reservations.values()) refuse(Ip.tryParse(ip4 ?? ""), `member ${mac}`);
}

/** Puts the field of a spec in place of the one that a request to an agent has. */
function inWordsOf<T>(name: string, plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const message = error.message.replace(/^ip_range:/, `network ${name}: subnet4:`)
      .replace(/^gateway:/, `network ${name}: gateways:`);
    throw new Refusal(error.code, message, { cause: error });
  }
}
