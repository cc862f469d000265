/** Names that several machines of a named network have without saying that they share them. */
import { Refusal } from "../common/refusal.ts";
import type { Space } from "../overlay/space.ts";
import type { ReservationRecord } from "../store/sand_records.ts";
import { ownName } from "./names.ts";

/**
 * The refusals of these labels where several have one and not each reservation of it says that it is shared.
 *
 * @param reservations All of the network's, as they are to be.
 */
export function* unsharedNames(
  network: string,
  space: Space,
  reservations: Iterable<ReservationRecord>,
  labels: Iterable<string>,
): Generator<{ readonly label: string; readonly refusal: Refusal }> {
  const named = Map.groupBy(reservations, ({ name }) => name);
  for (const label of labels) {
    const holders = named.get(label) ?? [];
    const missing = holders.filter(({ shared }) => !shared).map(({ mac }) => mac);
    const last = holders.at(-1);
    if (!last || !missing.length) continue;
    const other = holders.find(({ mac }) => mac !== last.mac);
    const endpoint = space.endpointsNamed(label).find((endpoint) =>
      ownName(space, endpoint) === label && !holders.some(({ mac }) => mac === endpoint.mac)
    );
    const whose = other?.mac ?? (endpoint && `endpoint ${endpoint.id} on ${endpoint.host}`);
    if (whose === undefined) continue;
    const refusal = new Refusal(
      "exists",
      `member ${last.mac}: name: ${label} belongs to ${whose} in network ${network} already; a name that several members ` +
        `have needs "shared: true" on each of them: it is missing on ${missing.join(", ")}`,
    );
    yield { label, refusal };
  }
}
