/** Addresses of a named network in quarantine, since a client found them in use by another machine (DHCPDECLINE). */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { Attempts } from "../nex/steps.ts";
import type { OverlayView } from "../overlay/view.ts";
import type { WithheldAddressRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import type { NamedNetwork } from "./effective.ts";

/** The addresses in quarantine, lowest first. */
export function declinedOf(
  view: OverlayView,
  { record }: NamedNetwork,
): (WithheldAddressRecord & { address: string })[] {
  const found = [...view.space(record.id).withheld].flatMap(([address, withheld]) => {
    const ip = Ip.tryParse(address);
    return ip ? { ip, entry: { ...withheld, address } } : [];
  });
  return found.sort((a, b) => a.ip.compare(b.ip)).map(({ entry }) => entry);
}

/**
 * Plans the early end of quarantines.
 * @throws Refusal "not-found" for an address that is not in quarantine there
 */
export function planDeleteDeclined(
  view: OverlayView,
  { name, record }: NamedNetwork,
  addresses: readonly string[],
  attempts: Attempts,
): readonly Plan[] {
  return [...new Set(addresses.map((text) => Ip.parse(text, "address").toString()))].flatMap((address) => {
    const isThere = view.space(record.id).withheld.has(address);
    if (!attempts.found(`declined ${address}`, isThere)) {
      throw new Refusal("not-found", `network ${name}: ${address} is not among its declined addresses`);
    }
    const key = view.keys.withheldAddress(record.id, address);
    return isThere ? { guards: [view.guard(key)], ops: [{ remove: key }] } : [];
  });
}
