/**
 * Sets and reads a bridge's port settings for flooding and ARP, and the static entries of its forwarding table (FDB).
 */
import { EINVAL, ENOENT, SystemError } from "./errno.ts";
import type { Netlink, Request } from "./netlink.ts";
import { IFINFOMSG, IFLA_LINKINFO, RTM_NEWLINK } from "./netlink_link.ts";
import {
  encodeMessage,
  NLM_F_CREATE,
  NLM_F_REPLACE,
  readAttributes,
  readNested,
  u32,
  u8,
} from "./netlink_message.ts";
import type { NetlinkFailure } from "./netlink_replies.ts";

const IFLA_INFO_SLAVE_DATA = 5, IFLA_BRPORT_UNICAST_FLOOD = 9, IFLA_BRPORT_PROXYARP_WIFI = 12;
const RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29, RTM_GETNEIGH = 30, AF_BRIDGE = 7;
const NDA_LLADDR = 2, NDA_MASTER = 9, NUD_NOARP = 0x40, NUD_PERMANENT = 0x80;
const NTF_SELF = 2, NTF_MASTER = 4, NTF_STICKY = 0x40;
/** Octets of struct ndmsg {u8 family, pad, i32 ifindex, u16 state, u8 flags, u8 type}. */
const NDMSG = 12;
/** Messages per send: the kernel's answers to all of them fit the socket's buffer. */
const BATCH = 128;

/** The settings of a port that are read, of some forty. */
const READ: ReadonlySet<number> = new Set([IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_PROXYARP_WIFI]);

/** How a bridge treats one of its ports. */
export interface PortSettings {
  /** True: unicast frames for unknown MACs are flooded to the port. */
  readonly flood: boolean;
  /**
   * True: the bridge answers ARP requests for addresses whose MAC is behind this port, from the ARP entries of its
   * own interface, and does not flood them to such ports (IFLA_BRPORT_PROXYARP_WIFI).
   */
  readonly answered: boolean;
}

/** An entry of a bridge's forwarding table. */
export interface BridgeEntry {
  /** 48 bits. */
  readonly mac: number;
  /** The index of the port that it leads to. */
  readonly port: number;
  /** True: static and sticky, so frames from that MAC at other ports do not move it. */
  readonly pinned: boolean;
  /** True: the bridge's own MAC or one of its ports', whose frames the bridge itself receives. */
  readonly local: boolean;
}

/** Changes a port's settings, by its index; omitted ones stay. */
export function changePort(port: number, { flood, answered }: Partial<PortSettings>): Request {
  const fixed = new Uint8Array(IFINFOMSG);
  fixed.set(u32(port), 4);
  const settings = [
    flood === undefined ? undefined : [IFLA_BRPORT_UNICAST_FLOOD, u8(flood)] as const,
    answered === undefined ? undefined : [IFLA_BRPORT_PROXYARP_WIFI, u8(answered)] as const,
  ];
  return {
    what: `change port ${port} of its bridge`,
    message: encodeMessage(RTM_NEWLINK, 0, fixed, [[IFLA_LINKINFO, [[IFLA_INFO_SLAVE_DATA, settings]]]]),
  };
}

/** Reads the settings from a link's IFLA_LINKINFO; undefined for a link that is no bridge port. */
export function readPort(info: Map<number, DataView>): PortSettings | undefined {
  const settings = readNested(info.get(IFLA_INFO_SLAVE_DATA), READ);
  const flood = settings.get(IFLA_BRPORT_UNICAST_FLOOD);
  if (!flood) return undefined;
  return {
    flood: flood.getUint8(0) !== 0,
    answered: settings.get(IFLA_BRPORT_PROXYARP_WIFI)?.getUint8(0) === 1,
  };
}

/** Adds or replaces the bridge's FDB entry for a MAC (6 octets): it is behind the port. */
export function pinMac(port: number, mac: Uint8Array): Request {
  return { what: `pin a MAC to port ${port}`, message: pinning(port, mac) };
}

/** Like {@link pinMac} for many MACs. @returns refused ones, with their positions in `macs` */
export function pinMacs(
  netlink: Netlink,
  port: number,
  macs: readonly Uint8Array[],
): Promise<NetlinkFailure[]> {
  return each(netlink, macs, (mac) => pinning(port, mac));
}

/** Deletes such entries. An entry that is missing, or leads to another port, is no failure. */
export async function unpinMacs(
  netlink: Netlink,
  port: number,
  macs: readonly Uint8Array[],
): Promise<NetlinkFailure[]> {
  const message = (mac: Uint8Array) =>
    encodeMessage(RTM_DELNEIGH, 0, ndmsg(port, 0, NTF_MASTER), [[NDA_LLADDR, mac]]);
  return (await each(netlink, macs, message)).filter(({ errno }) => errno !== ENOENT && errno !== EINVAL);
}

/**
 * Places a bridge's own MAC behind a port: frames for it still reach the bridge, and ARP requests for an address with
 * that MAC are answered like those for addresses behind that port. When the port is removed, the kernel restores the
 * entry.
 */
export function placeOwnMac(port: number, mac: Uint8Array): Request {
  return {
    what: `place the bridge's MAC at port ${port}`,
    message: encodeMessage(
      RTM_NEWNEIGH,
      NLM_F_CREATE | NLM_F_REPLACE,
      ndmsg(port, NUD_PERMANENT, NTF_MASTER),
      [[NDA_LLADDR, mac]],
    ),
  };
}

/** Lists all entries that lead to a port, including learned ones. */
export function listBridgeEntries(netlink: Netlink, port: number): Promise<BridgeEntry[]> {
  return netlink.dump(
    `list what is behind port ${port}`,
    encodeMessage(RTM_GETNEIGH, 0, ndmsg(port, 0, 0)),
    () => [] as BridgeEntry[],
    (list, view, from, to) => {
      const entry = readEntry(view, from, to);
      // A port with its own table, such as a vxlan device, lists that too.
      if (entry?.port === port && !(view.getUint8(from + 10) & NTF_SELF)) list.push(entry);
    },
  );
}

/** Looks up MACs in a bridge's table, by its index. @throws SystemError */
export async function findBridgeEntries(
  netlink: Netlink,
  bridge: number,
  macs: readonly Uint8Array[],
): Promise<BridgeEntry[]> {
  const found: BridgeEntry[] = [];
  const failures = await each(
    netlink,
    macs,
    (mac) => encodeMessage(RTM_GETNEIGH, 0, ndmsg(0, 0, 0), [[NDA_LLADDR, mac], [NDA_MASTER, u32(bridge)]]),
    (view, from, to) => {
      const entry = readEntry(view, from, to);
      if (entry) found.push(entry);
    },
  );
  const failure = failures.find(({ errno }) => errno !== ENOENT);
  if (failure) throw new SystemError("look for a MAC in a bridge", failure.errno, failure.detail);
  return found;
}

function pinning(port: number, mac: Uint8Array): Uint8Array<ArrayBuffer> {
  const fixed = ndmsg(port, NUD_NOARP, NTF_MASTER | NTF_STICKY);
  return encodeMessage(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, fixed, [[NDA_LLADDR, mac]]);
}

function ndmsg(ifindex: number, state: number, flags: number): Uint8Array {
  const fixed = new Uint8Array(NDMSG);
  fixed[0] = AF_BRIDGE;
  fixed.set(u32(ifindex), 4);
  fixed[8] = state;
  fixed[10] = flags;
  return fixed;
}

function readEntry(view: DataView, from: number, to: number): BridgeEntry | undefined {
  const mac = to - from < NDMSG ? undefined : readAttributes(view, from + NDMSG, to).get(NDA_LLADDR);
  if (mac?.byteLength !== 6) return undefined;
  const state = view.getUint16(from + 8, true), flags = view.getUint8(from + 10);
  return {
    mac: mac.getUint16(0) * 2 ** 32 + mac.getUint32(2),
    port: view.getInt32(from + 4, true),
    pinned: state === NUD_NOARP && (flags & NTF_STICKY) !== 0,
    local: (state & NUD_PERMANENT) !== 0,
  };
}

/**
 * Reads an entry from struct ndmsg and its attributes; undefined for a learned entry, and for an entry of another
 * table.
 */
export function readStaticEntry(view: DataView, from: number, to: number): BridgeEntry | undefined {
  if (to - from < NDMSG || view.getUint8(from + 10) & NTF_SELF) return undefined;
  return view.getUint16(from + 8, true) & (NUD_NOARP | NUD_PERMANENT) ? readEntry(view, from, to) : undefined;
}

async function each(
  netlink: Netlink,
  macs: readonly Uint8Array[],
  encode: (mac: Uint8Array) => Uint8Array,
  visit?: (view: DataView, from: number, to: number) => void,
): Promise<NetlinkFailure[]> {
  const failures: NetlinkFailure[] = [], sender = macs.length > BATCH ? "pool" : "brief";
  for (let first = 0; first < macs.length; first += BATCH) {
    // All messages have the same length, a multiple of netlink's alignment.
    const messages = macs.slice(first, first + BATCH).map(encode), size = messages[0]!.length;
    const bytes = new Uint8Array(messages.length * size);
    messages.forEach((message, i) => bytes.set(message, i * size));
    for (const failure of await netlink.exchange(bytes, messages.length, visit, sender)) {
      failures.push({ ...failure, index: first + failure.index });
    }
  }
  return failures;
}
