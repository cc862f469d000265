/** A member of a request in canonical form: duplicates in a list, and differences from the reservation that is there. */
import { invalid } from "../common/refusal.ts";
import { firstTwice } from "../nex/members.ts";
import type { ReservationRecord } from "../store/sand_records.ts";

export interface CanonicalMember {
  readonly mac: string;
  readonly name: string | undefined;
  readonly ip4: string | undefined;
  readonly shared: boolean | undefined;
}

/** @throws Refusal "invalid" when a list has a MAC or an address twice */
export function refuseTwice(list: readonly CanonicalMember[]): void {
  for (const field of ["mac", "ip4"] as const) {
    const twice = firstTwice(list.flatMap((requested) => requested[field] ?? []));
    if (twice) throw invalid(`${field}: ${twice} is in the list twice`);
  }
}

/** The first field in which a member differs from the request, where an address that is not given may be any. */
export function differs(before: ReservationRecord, requested: CanonicalMember): string | undefined {
  if (before.name !== requested.name) return "name";
  return requested.ip4 !== undefined && requested.ip4 !== before.ip4 ? "ip4" : undefined;
}
