/** Plans the claims of a new endpoint on the addresses that it may use beside its own. */
import { Ip } from "../common/ip.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import type { AllowedAddressRecord, NetworkRecord } from "../store/sand_records.ts";
import type { Claims } from "./claims.ts";
import type { Space } from "./space.ts";
import { macNumber } from "./state.ts";

/**
 * Claims what a new endpoint is to be allowed.
 * @throws Refusal "invalid" for an address that no endpoint can have or a MAC that another endpoint has, "exists" for an address
 *   that is another's alone, "forbidden" where a host would give it to others
 */
export function claimAllowed(
  space: Space,
  { name }: NetworkRecord,
  wanted: readonly AllowedAddressRecord[],
  own: { readonly address: Ip; readonly mac: string },
  claims: Claims,
): void {
  const [unaware] = wanted.length ? space.hostsWithoutNames() : [];
  if (unaware !== undefined) {
    throw new Refusal(
      "forbidden",
      `allow: the agent on ${unaware} does not know such addresses and would give them to others: upgrade it to this version, or ` +
        `take network ${name} off that host`,
    );
  }
  for (const { address, mac } of wanted) {
    if (own.address.equals(Ip.parse(address))) {
      throw invalid(`allow: ${address} is the endpoint's own address`);
    }
    const [holder] = mac === undefined ? [] : space.holdersOfMac(macNumber(mac));
    if (mac === own.mac || holder) {
      const who = holder ? `endpoint ${holder.id} on ${holder.host}` : "the endpoint itself";
      throw invalid(
        `allow: ${mac} of network ${name} is the MAC of ${who}: leave it out, or give one that several may use`,
      );
    }
  }
  for (const { address } of wanted) claims.share(Ip.parse(address));
}
