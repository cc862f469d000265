/** Sets, deletes and lists a device's ARP and FDB entries by rtnetlink(7), in batches of any size. */
import { concat } from "../services/common/bytes.ts";
import { EEXIST, EINVAL, ENOENT } from "./errno.ts";
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  encodePairs,
  FLAGS,
  NDA_DST,
  NDA_LLADDR,
  NDMSG,
  type Neighbours,
  type NeighTable,
  NTF_SELF,
  NUD_PERMANENT,
  type Pairs,
  type Template,
  template,
} from "./neighbour_message.ts";
import type { Netlink } from "./netlink.ts";
import { type BridgeEntry, readStaticEntry } from "./netlink_bridge.ts";
import { aligned, encodeMessage, HEADER, NLM_F_CREATE, NLM_F_REPLACE, u32 } from "./netlink_message.ts";
import type { NetlinkFailure } from "./netlink_replies.ts";

const RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29, RTM_GETNEIGH = 30;
const NDA_CACHEINFO = 3, NDA_PROBES = 4, NDA_IFINDEX = 8, NDA_LINK_NETNSID = 10, NDA_PROTOCOL = 12;
const NLM_F_APPEND = 0x800, NUD_NOARP = 0x40, NTF_MASTER = 4;
/** Attributes that do not affect where a frame is sent. */
const harmless: ReadonlySet<number> = new Set([NDA_CACHEINFO, NDA_PROBES, NDA_LINK_NETNSID, NDA_PROTOCOL]);
/**
 * Messages per send. The kernel's answers to all of them fit the socket's buffer; with larger batches the kernel
 * cannot grow a large fdb in between, which then takes up to twice as long.
 */
const batch = 128;

export type { Neighbours, NeighTable };

/** Entries as listed. */
export interface DumpedNeighbours extends Neighbours {
  /**
   * 1 where the entry is exactly as {@link setNeighbours} sets it: permanent, with nothing but the pair (and its
   * origin, which cannot be removed). An entry without an address has zeros.
   */
  readonly exact: Uint8Array;
}

/**
 * Sets permanent entries of a device's table, replacing existing ones: an address has one MAC in `arp`, a MAC is
 * behind one host in `fdb`.
 *
 * @param ifindex The device's index.
 * @returns refused entries, with their positions in `entries`
 * @throws Error when it is unknown what has been done
 */
export function setNeighbours(
  netlink: Netlink,
  table: NeighTable,
  ifindex: number,
  entries: Neighbours,
): Promise<NetlinkFailure[]> {
  return send(netlink, entries, setting(table, ifindex, entries));
}

/**
 * Sets entries of both tables of a device as {@link setNeighbours} does: few of them in one send.
 * @returns refused entries of each table, with their positions there
 */
export async function setBoth(
  netlink: Netlink,
  ifindex: number,
  { fdb, arp }: Readonly<Record<NeighTable, Neighbours>>,
): Promise<Record<NeighTable, NetlinkFailure[]>> {
  if (!fdb.count || !arp.count || fdb.count + arp.count > batch) {
    return {
      fdb: await setNeighbours(netlink, "fdb", ifindex, fdb),
      arp: await setNeighbours(netlink, "arp", ifindex, arp),
    };
  }
  const bytes = concat(
    ([["fdb", fdb], ["arp", arp]] as const).map(([table, entries]) =>
      encodePairs(entries, setting(table, ifindex, entries), 0, entries.count)
    ),
  );
  const failures: Record<NeighTable, NetlinkFailure[]> = { fdb: [], arp: [] };
  for (const failure of await netlink.exchange(bytes, fdb.count + arp.count, undefined, "brief")) {
    const inArp = failure.index - fdb.count;
    if (inArp < 0) failures.fdb.push(failure);
    else failures.arp.push({ ...failure, index: inArp });
  }
  return failures;
}

function setting(table: NeighTable, ifindex: number, { width }: Neighbours): Template {
  return template(table, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, width);
}

/**
 * Adds VTEPs of a vxlan device's all-zero MAC, to which it sends what is for no one machine; those that are there are no failures.
 * @see {@link setNeighbours}
 */
export async function addFloods(
  netlink: Netlink,
  ifindex: number,
  { count, addresses }: Pick<Neighbours, "count" | "addresses">,
): Promise<NetlinkFailure[]> {
  const entries = { count, width: 4, addresses, macs: new Uint8Array(count * 6) } as const;
  const message = template("fdb", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, ifindex, 4);
  return (await send(netlink, entries, message)).filter(({ errno }) => errno !== EEXIST);
}

/**
 * Deletes entries. Missing ones are no failures, nor are `fdb` entries that lead to another host by now.
 * @see {@link setNeighbours}
 */
export async function deleteNeighbours(
  netlink: Netlink,
  table: NeighTable,
  ifindex: number,
  entries: Neighbours,
): Promise<NetlinkFailure[]> {
  return unlessGone(await send(netlink, entries, template(table, RTM_DELNEIGH, 0, ifindex, entries.width)));
}

/**
 * Deletes all entries of a device's `fdb` for MACs, with any destination.
 * @param macs 6 octets each
 * @see {@link deleteNeighbours}
 */
export async function deleteMacs(
  netlink: Netlink,
  ifindex: number,
  macs: Uint8Array,
): Promise<NetlinkFailure[]> {
  const entries = { count: macs.length / 6, width: 0, addresses: new Uint8Array(), macs } as const;
  return unlessGone(await send(netlink, entries, template("fdb", RTM_DELNEIGH, 0, ifindex, 0)));
}

/**
 * Deletes what a bridge has learned about MACs behind a device that is its port. Unknown MACs, and a device that is
 * no port, are no failures.
 * @param macs 6 octets each
 * @see {@link deleteNeighbours}
 */
export async function forgetLearned(
  netlink: Netlink,
  ifindex: number,
  macs: Uint8Array,
): Promise<NetlinkFailure[]> {
  const entries = { count: macs.length / 6, width: 0, addresses: new Uint8Array(), macs } as const;
  const message = template("fdb", RTM_DELNEIGH, 0, ifindex, 0);
  message.bytes[HEADER + FLAGS] = NTF_MASTER;
  return unlessGone(await send(netlink, entries, message)).filter(({ errno }) => errno !== EINVAL);
}

function unlessGone(failures: readonly NetlinkFailure[]): NetlinkFailure[] {
  return failures.filter(({ errno }) => errno !== ENOENT);
}

async function send(netlink: Netlink, pairs: Pairs, message: Template): Promise<NetlinkFailure[]> {
  const failures: NetlinkFailure[] = [], sender = pairs.count > batch ? "pool" : "brief";
  for (let first = 0; first < pairs.count; first += batch) {
    const count = Math.min(batch, pairs.count - first), bytes = encodePairs(pairs, message, first, count);
    for (const failure of await netlink.exchange(bytes, count, undefined, sender)) {
      failures.push({ ...failure, index: first + failure.index });
    }
  }
  return failures;
}

/**
 * Lists a device's table, including entries of other programs and learned ones. A missing device has an empty table.
 *
 * @param width Octets of the wanted addresses.
 */
export async function dumpNeighbours(
  netlink: Netlink,
  table: NeighTable,
  ifindex: number,
  width: 4 | 16 = 4,
): Promise<DumpedNeighbours> {
  return (await dump(netlink, table, ifindex, width)).result();
}

/**
 * Lists the `fdb` of a device together with what the bridge that it is a port of has behind it, apart from what the bridge
 * has learned: the kernel gives both in one dump.
 */
export async function dumpPort(
  netlink: Netlink,
  ifindex: number,
): Promise<{ readonly fdb: DumpedNeighbours; readonly behind: readonly BridgeEntry[] }> {
  const found = await dump(netlink, "fdb", ifindex, 4);
  return { fdb: found.result(), behind: found.behind };
}

/**
 * Lists the IPv4 ARP tables of several devices of a namespace in one dump: for each dump the kernel goes through the ARP entries
 * of all namespaces, whatever device is asked for.
 *
 * @returns The table of each device by its index; an empty one where there is no such device.
 */
export async function dumpArp(
  netlink: Netlink,
  ifindexes: readonly number[],
): Promise<ReadonlyMap<number, DumpedNeighbours>> {
  const fixed = new Uint8Array(NDMSG);
  fixed[0] = AF_INET;
  const found = await netlink.dump(
    "list the arp tables",
    encodeMessage(RTM_GETNEIGH, 0, fixed),
    () => new Map(ifindexes.map((ifindex) => [ifindex, new Collection("arp", ifindex, 4)])),
    (into, view, from, to) => {
      if (to - from >= NDMSG) into.get(view.getInt32(from + 4, true))?.add(view, from, to);
    },
  );
  return new Map([...found].map(([ifindex, collection]) => [ifindex, collection.result()]));
}

function dump(netlink: Netlink, table: NeighTable, ifindex: number, width: 4 | 16): Promise<Collection> {
  const fixed = new Uint8Array(NDMSG);
  fixed[0] = table === "fdb" ? AF_BRIDGE : width === 4 ? AF_INET : AF_INET6;
  // Each kind of dump selects a device in its own way.
  if (table === "fdb") fixed.set(u32(ifindex), 4);
  const message = encodeMessage(RTM_GETNEIGH, 0, fixed, table === "arp" ? [[NDA_IFINDEX, u32(ifindex)]] : []);
  return netlink.dump(
    `list the ${table} of interface ${ifindex}`,
    message,
    () => new Collection(table, ifindex, width),
    (into, view, from, to) => into.add(view, from, to),
  );
}

/** Collects entries in flat arrays that grow. */
class Collection {
  count = 0;
  /** The entries of the bridge itself, in a dump of an `fdb`. */
  readonly behind: BridgeEntry[] = [];
  #capacity = 64;
  #addresses: Uint8Array;
  #macs = new Uint8Array(this.#capacity * 6);
  #exact = new Uint8Array(this.#capacity);

  constructor(readonly table: NeighTable, readonly ifindex: number, readonly width: 4 | 16) {
    this.#addresses = new Uint8Array(this.#capacity * width);
  }

  /** Takes struct ndmsg and its attributes. */
  add(view: DataView, from: number, to: number): void {
    if (to - from < NDMSG || view.getInt32(from + 4, true) !== this.ifindex) return;
    const state = view.getUint16(from + 8, true), flags = view.getUint8(from + 10);
    // An entry of the bridge for its port is no entry of the device.
    if (this.table === "fdb" && !(flags & NTF_SELF)) {
      const entry = readStaticEntry(view, from, to);
      if (entry) this.behind.push(entry);
      return;
    }
    if (this.count === this.#capacity) this.#grow();
    const i = this.count, width = this.width;
    let exact = state === NUD_PERMANENT &&
      flags === (this.table === "fdb" ? NTF_SELF : 0);
    let address = false, mac = false;
    for (let at = from + NDMSG; to - at >= 4;) {
      const length = view.getUint16(at, true), type = view.getUint16(at + 2, true);
      if (length < 4 || length > to - at) break;
      if (type === NDA_DST) {
        if (length - 4 !== width) exact = false;
        else {
          for (let k = 0; k < width; k++) this.#addresses[i * width + k] = view.getUint8(at + 4 + k);
          address = true;
        }
      } else if (type === NDA_LLADDR && length === 10) {
        for (let k = 0; k < 6; k++) this.#macs[i * 6 + k] = view.getUint8(at + 4 + k);
        mac = true;
      } else if (!harmless.has(type)) exact = false;
      at += aligned(length);
    }
    // The kernel's own entries for multicast and broadcast are left out, as ip does.
    if (this.table === "arp" && state === NUD_NOARP && this.#addresses[i * width]! >= 0xe0) return;
    this.#exact[i] = Number(exact && address && mac);
    this.count++;
  }

  result(): DumpedNeighbours {
    const { count, width } = this;
    return {
      count,
      width,
      addresses: this.#addresses.subarray(0, count * width),
      macs: this.#macs.subarray(0, count * 6),
      exact: this.#exact.subarray(0, count),
    };
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#addresses = grown(this.#addresses);
    this.#macs = grown(this.#macs);
    this.#exact = grown(this.#exact);
  }
}

function grown(array: Uint8Array): Uint8Array<ArrayBuffer> {
  const twice = new Uint8Array(array.length * 2);
  twice.set(array);
  return twice;
}
