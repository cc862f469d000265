/** Converts ARP and FDB tables between the maps of a network's state and netlink's flat arrays. */
import type { DumpedNeighbours, Neighbours } from "../../../ffi/netlink_neigh.ts";

/** Stands for the MAC or VTEP of an entry that differs from what the agent sets, so that it is replaced or removed. */
export const FOREIGN = -1;

/** A vxlan device's forwarding table as read. */
export interface Fdb {
  /** MAC → VTEP, or FOREIGN. */
  readonly entries: Map<number, number>;
  /** VTEPs of the all-zero MAC, which unknown unicast and broadcast are flooded to, or FOREIGN. */
  readonly flood: Set<number>;
  /**
   * MACs with several destinations or a nexthop group: the kernel does not replace their entries, so they must be
   * deleted first.
   */
  readonly irreplaceable: Set<number>;
}

/** Address → MAC, or FOREIGN. */
export function readArp({ count, addresses, macs, exact }: DumpedNeighbours): Map<number, number> {
  const entries = new Map<number, number>();
  const address = viewOf(addresses), mac = viewOf(macs);
  for (let i = 0; i < count; i++) {
    entries.set(address.getUint32(i * 4), exact[i] ? uint48(mac, i * 6) : FOREIGN);
  }
  return entries;
}

/** Address → MAC of the permanent entries; the kernel manages the others by itself. */
export function readPermanent({ count, addresses, macs, exact }: DumpedNeighbours): Map<number, number> {
  const entries = new Map<number, number>();
  const address = viewOf(addresses), mac = viewOf(macs);
  for (let i = 0; i < count; i++) if (exact[i]) entries.set(address.getUint32(i * 4), uint48(mac, i * 6));
  return entries;
}

/** Converts a dump of the forwarding table. */
export function readFdb({ count, addresses, macs, exact }: DumpedNeighbours): Fdb {
  const entries = new Map<number, number>(), flood = new Set<number>(), irreplaceable = new Set<number>();
  const address = viewOf(addresses), macView = viewOf(macs);
  for (let i = 0; i < count; i++) {
    const mac = uint48(macView, i * 6), vtep = address.getUint32(i * 4);
    if (mac === 0) {
      flood.add(exact[i] ? vtep : FOREIGN);
      continue;
    }
    const several = entries.has(mac);
    if (several || vtep === 0) irreplaceable.add(mac);
    entries.set(mac, exact[i] && !several ? vtep : FOREIGN);
  }
  return { entries, flood, irreplaceable };
}

/** Converts address → MAC to ARP entries. */
export function arpEntries(entries: ReadonlyMap<number, number>): Neighbours {
  return collect(entries.size, (add) => entries.forEach((mac, address) => add(address, mac)));
}

/** Converts MAC → VTEP to FDB entries. */
export function fdbEntries(entries: ReadonlyMap<number, number>): Neighbours {
  return collect(entries.size, (add) => entries.forEach((vtep, mac) => add(vtep, mac)));
}

/** Converts addresses to entries without a MAC, as deletion takes them. */
export function addressesOnly(addresses: ReadonlySet<number>): Neighbours {
  return collect(addresses.size, (add) => addresses.forEach((address) => add(address, 0)));
}

/** Converts MACs to a flat array of 6 octets each. */
export function macsOnly(macs: ReadonlySet<number>): Uint8Array {
  return collect(macs.size, (add) => macs.forEach((mac) => add(0, mac))).macs;
}

/** The 6 octets of a MAC. */
export function macBytes(mac: number): Uint8Array {
  return macsOnly(new Set([mac]));
}

function collect(count: number, each: (add: (address: number, mac: number) => void) => void): Neighbours {
  const addresses = new Uint8Array(count * 4), macs = new Uint8Array(count * 6);
  const addressView = viewOf(addresses), macView = viewOf(macs);
  let i = 0;
  each((address, mac) => {
    addressView.setUint32(i * 4, address);
    macView.setUint16(i * 6, mac / 2 ** 32);
    macView.setUint32(i * 6 + 2, mac);
    i++;
  });
  return { count, width: 4, addresses, macs };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function uint48(view: DataView, at: number): number {
  return view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);
}
