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
    const twice = firstTwice(list.flatMap((asked) => asked[field] ?? []));
    if (twice) throw invalid(`${field}: ${twice} is in the list twice`);
  }
}

/** The first field in which a member differs from the request, where an address that is not given may be any. */
export function differs(before: ReservationRecord, asked: CanonicalMember): string | undefined {
  if (before.name !== asked.name) return "name";
  return asked.ip4 !== undefined && asked.ip4 !== before.ip4 ? "ip4" : undefined;
}
