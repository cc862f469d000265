/** Plans the name and the aliases of an endpoint that is there already, by the rules of one that is created with a name. */
import { PlanBuilder } from "../store/plan_builder.ts";
import type { EndpointRecord } from "../store/sand_records.ts";
import { isLabel } from "../store/sand_schemas.ts";
import type { Plan } from "../store/types.ts";
import { Claims } from "./claims.ts";
import { findEndpoint, putEndpoint } from "./endpoints.ts";
import { findNetwork } from "./networks.ts";
import { isOwnLabel } from "./own_labels.ts";
import { holderOfName, MOST_ALIASES, unchangedEndpoints, unchangedReservations } from "./taken_names.ts";
import type { OverlayView } from "./view.ts";

/** The name and aliases that an endpoint is to have. */
export interface Labels {
  /** Undefined: it has no name. */
  readonly name: string | undefined;
  /** Further labels, which other endpoints may have too; what is no label, or the gateway's, is left out. */
  readonly aliases: readonly string[];
}

/**
 * Plans to call an endpoint so. A name that another machine has is kept in the record as the one that it was to have. Undefined
 * where nothing changes, and in a network without settings, which has no names.
 *
 * @param now In ms since the epoch. @throws Refusal "not-found" when the host does not own the endpoint
 */
export function planName(
  view: OverlayView,
  id: string,
  hostname: string,
  labels: Labels,
  now: number,
): Plan | undefined {
  const endpoint = findEndpoint(view, id, hostname), { network: networkId, mac, record: before } = endpoint;
  const network = findNetwork(view, networkId), space = view.space(networkId), { name } = labels;
  if (!space.settings) return undefined;
  const reserved = mac === undefined ? undefined : space.reservations.get(mac)?.name;
  const isFree = name !== undefined && holderOfName(space, name, mac, id) === undefined;
  const own = reserved ?? (isFree ? name : undefined);
  const aliases = [...new Set(labels.aliases)].filter((alias) =>
    isLabel(alias) && !isOwnLabel(alias) && alias !== own
  )
    .slice(0, MOST_ALIASES).sort();
  const { strand_name: _, strand_aliases: __, strand_unnamed: ___, ...rest } = before;
  const record = {
    ...rest,
    ...own === undefined ? {} : { strand_name: own },
    ...aliases.length ? { strand_aliases: aliases } : {},
    ...own === undefined && name !== undefined ? { strand_unnamed: name } : {},
  } as EndpointRecord;
  if (labelsIn(record) === labelsIn(before)) return undefined;
  const builder = new PlanBuilder().guard(view.guard(view.keys.network(networkId)))
    .guard(view.guard(view.keys.settings(networkId)));
  unchangedEndpoints(view, networkId, builder);
  unchangedReservations(view, networkId, builder);
  // Every plan that makes or renames an endpoint writes the claims, so that no two hosts do so unseen of each other.
  const claims = new Claims(view, network, now);
  claims.touch();
  claims.writeTo(builder);
  builder.guard(...endpoint.entries.map(({ key, modRevision }) => ({ key, modRevision })));
  return putEndpoint(view, record, builder).plan();
}

/** The labels of a record as text, to be compared. */
function labelsIn(
  { strand_name: name, strand_aliases: aliases = [], strand_unnamed: unnamed }: EndpointRecord,
): string {
  return JSON.stringify([name, aliases, unnamed]);
}
