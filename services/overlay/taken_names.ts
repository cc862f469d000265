/**
 * Finds the endpoint or reservation that has a label of a network's domain as its own name. Where several claim one
 * label, the first keeps it.
 */
import { invalid, Refusal } from "../common/refusal.ts";
import type { PlanBuilder } from "../store/plan_builder.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import { isLabel } from "../store/sand_schemas.ts";
import { isOwnLabel, refuseOwnLabel } from "./own_labels.ts";
import type { Space } from "./space.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import type { OverlayView } from "./view.ts";

/**
 * Checks that a name is one label, and that no other machine of the network has it.
 *
 * @param mac The MAC of the machine that is to have it, where it is known.
 * @param names Labels that other endpoints of the same request get.
 * @throws Refusal "invalid" for a text that is no label, "exists" for one that is taken
 */
export function checkName(
  view: OverlayView,
  network: NetworkRecord,
  name: string,
  mac: string | undefined,
  names: ReadonlySet<string>,
): void {
  if (!isLabel(name)) {
    throw invalid(
      `name: "${name}" is not one label of a name: 1 to 63 lower-case letters, digits or hyphens`,
    );
  }
  refuseOwnLabel(name, "name", network.name);
  const who = holderOfName(view.space(network.id), name, mac) ??
    (names.has(name) ? "another endpoint of this request" : undefined);
  if (who === undefined) return;
  throw new Refusal("exists", `name: ${name} of network ${network.name} belongs to ${who}`);
}

/** The most aliases that a record has. */
export const MOST_ALIASES = 64;

/**
 * The aliases of an endpoint that is made: labels that other endpoints may have as aliases too, but none as its own name.
 *
 * @param wanted.wishedAliases Those that it cannot have are left out.
 * @throws Refusal "invalid" for a text that is no label, or too many, "exists" for one that is another machine's own name
 */
export function aliasesFor(
  view: OverlayView,
  network: NetworkRecord,
  wanted: {
    readonly aliases?: readonly string[] | undefined;
    readonly wishedAliases?: readonly string[] | undefined;
  },
  { mac, name }: { readonly mac: string; readonly name: string | undefined },
): string[] {
  const { aliases = [], wishedAliases = [] } = wanted, space = view.space(network.id);
  if (aliases.length > MOST_ALIASES) {
    throw invalid(`aliases: ${aliases.length} are more than an endpoint can have, ${MOST_ALIASES}`);
  }
  for (const alias of aliases) {
    if (!isLabel(alias)) {
      throw invalid(
        `aliases: "${alias}" is not one label of a name: 1 to 63 lower-case letters, digits or hyphens`,
      );
    }
    refuseOwnLabel(alias, "aliases", network.name);
    const holder = holderOfName(space, alias, mac);
    if (holder === undefined) continue;
    throw new Refusal(
      "exists",
      `aliases: ${alias} of network ${network.name} is the own name of ${holder}: give it to both as an alias`,
    );
  }
  const free = wishedAliases.filter((alias) =>
    isLabel(alias) && holderOfName(space, alias, mac) === undefined
  );
  return [...new Set([...aliases, ...free])].filter((alias) => alias !== name).slice(0, MOST_ALIASES).sort();
}

/**
 * The machine that has a label, in words; undefined where it is free for the MAC. The gateway has labels of its own.
 *
 * @param id The endpoint that asks, where there is one: what it has is free for it.
 */
export function holderOfName(
  space: Space,
  name: string,
  mac: string | undefined,
  id?: string,
): string | undefined {
  if (isOwnLabel(name)) return "the network's gateway";
  const reserved = [...space.reservationsNamed(name)].find((other) =>
    other !== mac && !space.reservations.get(other)?.shared
  );
  if (reserved) return `${reserved}, for which it is reserved`;
  const holder = space.endpointsNamed(name).find((other) =>
    other.record.strand_name === name && other.id !== id
  );
  return holder && `endpoint ${holder.id} on ${holder.host}`;
}

/** Why an endpoint is without the name that it was to have, as a sentence; undefined where it is not. */
export function whyUnnamed(view: OverlayView, { network, mac, record }: OverlayEndpoint): string | undefined {
  const { strand_unnamed: name, strand_name: its, strand_cni: cni } = record;
  if (name === undefined || its !== undefined) return undefined;
  const space = view.space(network), holder = holderOfName(space, name, mac);
  const who = cni ? `container ${cni.container}` : `endpoint ${record.id}`;
  const where = space.settings?.network.name ?? network;
  const why = holder === undefined ? "was another machine's when it was made" : `belongs to ${holder}`;
  return `${who} in network ${where} has no name: ${name} ${why}`;
}

/** Fails the plan where endpoints of the network have changed since what the view shows. */
export function unchangedEndpoints(view: OverlayView, network: string, builder: PlanBuilder): void {
  let newest = 0;
  for (const { entries } of view.space(network).endpoints.values()) {
    for (const { modRevision } of entries) newest = Math.max(newest, modRevision);
  }
  builder.unchanged(view.keys.networkEndpoints(network), newest);
}

/** Fails the plan where reservations of the network have changed since what the view shows. */
export function unchangedReservations(view: OverlayView, network: string, builder: PlanBuilder): void {
  let newest = 0;
  for (const mac of view.space(network).reservations.keys()) {
    newest = Math.max(newest, view.guard(view.keys.reservation(network, mac)).modRevision);
  }
  builder.unchanged(view.keys.reservations(network), newest);
}
