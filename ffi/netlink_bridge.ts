/** What a bridge does with its ports: flooding, answering ARP, and the static entries of its forwarding table (FDB). */
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
import type { Failure } from "./netlink_replies.ts";

const IFLA_INFO_SLAVE_DATA = 5, IFLA_BRPORT_UNICAST_FLOOD = 9, IFLA_BRPORT_PROXYARP_WIFI = 12;
const RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29, RTM_GETNEIGH = 30, AF_BRIDGE = 7;
const NDA_LLADDR = 2, NDA_MASTER = 9, NUD_NOARP = 0x40, NUD_PERMANENT = 0x80;
const NTF_SELF = 2, NTF_MASTER = 4, NTF_STICKY = 0x40;
/** Octets of struct ndmsg {u8 family, pad, i32 ifindex, u16 state, u8 flags, u8 type}. */
const NDMSG = 12;
/** Messages per send: the kernel's answers to all of them fit the socket's buffer. */
const BATCH = 128;

/** How a bridge treats one of its ports. */
export interface PortSettings {
  /** Unicast frames for MACs that the bridge does not know are sent to it too. */
  readonly flood: boolean;
  /**
   * ARP requests for addresses whose MAC is behind it are answered by the bridge, from the ARP entries of its own
   * interface, and are not flooded to ports like it (IFLA_BRPORT_PROXYARP_WIFI).
   */
  readonly answered: boolean;
}

/** An entry of a bridge's forwarding table. */
export interface BridgeEntry {
  /** 48 bits. */
  readonly mac: number;
  /** The index of the port that it leads to. */
  readonly port: number;
  /** Static and sticky: it stays, whichever port frames from that MAC come in at. */
  readonly pinned: boolean;
  /** The bridge's own MAC, or one of its ports': frames for it are the bridge's to receive. */
  readonly local: boolean;
}

/** Changes a port's settings, by its index; what is not given stays. */
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

/** Reads them from a link's IFLA_LINKINFO; undefined for what is no bridge's port. */
export function readPort(info: Map<number, DataView>): PortSettings | undefined {
  const settings = readNested(info.get(IFLA_INFO_SLAVE_DATA));
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

/** The same for many MACs. @returns what the kernel has refused, with its place in `macs` */
export function pinMacs(netlink: Netlink, port: number, macs: readonly Uint8Array[]): Promise<Failure[]> {
  return each(netlink, macs, (mac) => pinning(port, mac));
}

/** Takes such entries away; those that are not there, or lead to another port, are no failures. */
export async function unpinMacs(
  netlink: Netlink,
  port: number,
  macs: readonly Uint8Array[],
): Promise<Failure[]> {
  const message = (mac: Uint8Array) =>
    encodeMessage(RTM_DELNEIGH, 0, ndmsg(port, 0, NTF_MASTER), [[NDA_LLADDR, mac]]);
  return (await each(netlink, macs, message)).filter(({ errno }) => errno !== ENOENT && errno !== EINVAL);
}

/**
 * Has a bridge's own MAC be known behind a port: it stays the bridge's, and ARP requests for an address that has it are
 * answered as those for addresses behind that port are. When the port is removed the entry is as it was before.
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

/** All entries that lead to a port, those that the bridge has learned too. */
export function listBridgeEntries(netlink: Netlink, port: number): Promise<BridgeEntry[]> {
  return netlink.dump(
    `list what is behind port ${port}`,
    encodeMessage(RTM_GETNEIGH, 0, ndmsg(port, 0, 0)),
    () => [] as BridgeEntry[],
    (list, view, from, to) => {
      const entry = readEntry(view, from, to);
      // A port that has a table of its own lists that too.
      if (entry?.port === port && !(view.getUint8(from + 10) & NTF_SELF)) list.push(entry);
    },
  );
}

/** Which of the MACs a bridge knows, by its index. @throws SystemError */
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
 * Reads such an entry from struct ndmsg and its attributes; undefined for one that the bridge has learned, and for what is
 * none of its entries.
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
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (let first = 0; first < macs.length; first += BATCH) {
    // All are of one length, which netlink's alignment divides.
    const messages = macs.slice(first, first + BATCH).map(encode), size = messages[0]!.length;
    const bytes = new Uint8Array(messages.length * size);
    messages.forEach((message, i) => bytes.set(message, i * size));
    for (const failure of await netlink.exchange(bytes, messages.length, visit)) {
      failures.push({ ...failure, index: first + failure.index });
    }
  }
  return failures;
}
