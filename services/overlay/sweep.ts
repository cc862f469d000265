/** Finds addresses that are claimed without an endpoint or a reservation, and plans their release. */
import { Ip } from "../common/ip.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { freshBits, rangeOf, readAllocation, storedBits, writeBits } from "./claims.ts";
import type { OverlayView } from "./view.ts";

/** How long an address may be claimed without an endpoint, in ms: Docker claims it before it creates the endpoint. */
export const GRACE_MS = 10 * 60_000;

/** Places in the range of claimed addresses without an endpoint, and when each was first seen (ms). */
export type UnusedClaims = ReadonlyMap<number, number>;

export interface Sweep {
  /** Undefined when nothing is wrong, or not for long enough. */
  readonly plan: Plan | undefined;
  /** The number of released addresses, and of newly claimed addresses of endpoints. */
  readonly freed: number;
  readonly claimed: number;
  /** The input of the next sweep. */
  readonly suspects: UnusedClaims;
}

/**
 * Makes the claims of a network match its endpoints, reservations and gateway. SAND's agents never release an address, and set
 * wrong bits in ranges wider than a /24.
 *
 * @param suspects The suspects that the previous sweep of the network returned.
 * @param now Milliseconds on the same clock for all sweeps.
 * @throws Refusal "forbidden" when the stored claims do not match the network's range, or an endpoint or a reservation
 *   cannot be read, whose address must not be released
 */
export function planSweep(
  view: OverlayView,
  network: NetworkRecord,
  suspects: UnusedClaims,
  now: number,
  graceMs: number = GRACE_MS,
): Sweep {
  const read = readAllocation(view, network.id), { record } = read;
  if (!record) return { plan: undefined, freed: 0, claimed: 0, suspects: new Map() };
  view.refuseUnreadable(network.id);
  view.refuseUnreadableNames(network.id);
  const stored = storedBits(network, record), right = freshBits(network);
  const { first } = rangeOf(network);
  let since = 0;
  for (const { address, entries } of view.space(network.id).endpoints.values()) {
    for (const { modRevision } of entries) since = Math.max(since, modRevision);
    // An address below or beyond the range has no bit.
    if (address && address.u32 >= first.u32) right.add(address.u32 - first.u32);
  }
  for (const address of view.space(network.id).allowed.all()) {
    if (address >= first.u32) right.add(address - first.u32);
  }
  // A transaction that makes or removes a reservation writes the bit set too, which is guarded.
  for (const { ip4 } of view.space(network.id).reservations.values()) {
    const address = ip4 === undefined ? undefined : Ip.tryParse(ip4);
    if (address?.family === 4 && address.u32 >= first.u32) right.add(address.u32 - first.u32);
  }
  let claimed = 0, freed = 0;
  for (const i of right.ones()) if (!stored.has(i)) claimed++;
  const left = new Map<number, number>();
  for (const i of stored.ones()) {
    if (right.has(i)) continue;
    const first = suspects.get(i) ?? now;
    if (now - first >= graceMs) {
      freed++;
      continue;
    }
    left.set(i, first);
    right.add(i);
  }
  if (!freed && !claimed) return { plan: undefined, freed, claimed, suspects: left };
  const builder = new PlanBuilder().guard(view.guard(view.keys.network(network.id)));
  // The guard keeps an endpoint that is being written from losing its address.
  builder.unchanged(view.keys.networkEndpoints(network.id), since);
  writeBits(view, network, read, right, builder);
  return { plan: builder.plan(), freed, claimed, suspects: left };
}
