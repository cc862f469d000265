/** Three networks that one machine may be in at once, for tests of what a MAC has in each of them. */
import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { applySpec } from "./apply.ts";
import { addressFor, placeClient, type PlacementRequest, planLease } from "./leases.ts";
import { lab, macsWith, openMini } from "./testing.ts";

export const desk = "02:00:00:00:00:01", other = "02:00:00:00:00:02", guest = "02:aa:00:00:00:07";
const guests = macsWith("02:aa");
export const maxi = {
  name: "maxi",
  subnet4: "10.1.0.0/24",
  domain: "maxi.net",
  Range4: { begin: "10.1.0.10", end: "10.1.0.200" },
  macRange: guests,
};
export const far = {
  name: "far",
  subnet4: "10.2.0.0/24",
  Range4: { begin: "10.2.0.10", end: "10.2.0.200" },
  macRange: macsWith("02:aa:00:00:00"),
};

/** Three networks; macRanges of all of them overlap. */
export function threeNetworks() {
  const it = lab();
  it.do((d) => applySpec(d, [openMini(), maxi, far], []));
  const place = (mac: string, request: Partial<PlacementRequest> = {}) =>
    placeClient(it.view, { mac, ...request });
  return {
    ...it,
    place,
    nets: (mac: string) => it.view.memberships(mac).map((m) => m.net).sort(),
    on: (...names: string[]): Partial<PlacementRequest> => ({ attached: ({ name }) => names.includes(name) }),
    /** A lease for a client behind the relay with this address. */
    lease(mac: string, relay: string, now = 1000, hostname?: string) {
      const at = place(mac, { link: Ip.parse(relay) }) ?? assert.fail(`${mac} has no place at ${relay}`);
      const planned = planLease(it.view, at, { mac, address: addressFor(it.view, at, mac), now, hostname });
      assert.ok(planned.kind === "commit" && it.store.write(planned.plan).committed);
      return planned.address.toString();
    },
  };
}
