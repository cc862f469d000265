/**
 * Captures the frames of one port for a moment, to find those whose MAC or address is not the port's own by the rules
 * of containment.
 */
import { othersFilter } from "../../../ffi/machine_filters.ts";
import { libc } from "../../../ffi/libc.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { FrameBatch, openPacket } from "../../../ffi/packet.ts";
import { delay } from "../../common/async.ts";
import { Ip } from "../../common/ip.ts";
import { macFromBytes, macToBytes } from "../../common/mac.ts";
import { machineAt } from "../../overlay/containment.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** For how long it is looked, a second's pings among them, and how often, in ms; what is told at most. */
const WAIT = 1200, LOOK = 100, MOST = 5;
const SLOTS = 64, SIZE = 64;
const SOURCE = 6, TYPE = 12, IPV4 = 0x0800, IP_SOURCE = 26, ARP = 0x0806, ARP_SENDER = 28;

/** A port with the MAC and address of its machine, and the elements of the port by which it is checked. */
export interface PortOf {
  readonly port: string;
  readonly mac: string;
  /** As a 32-bit value. */
  readonly address: number;
  readonly own: ReadonlySet<string>;
}

/**
 * The foreign sources, like `10.0.0.99` or `a MAC of 52:54:00:00:00:99`.
 * @param path The network's namespace.
 * @throws SystemError
 */
export async function foreignAt(path: string, { port, mac, address, own }: PortOf): Promise<string[]> {
  using namespace = NetworkNamespace.openIfAny(path);
  if (!namespace?.has(port)) return [];
  const index = namespace.index(port), filter = othersFilter(macToBytes(mac), address);
  const fd = inNamespace(
    namespace.fd,
    () => openPacket(index, filter, port, { buffer: 64 * 1024, bridged: true }),
  );
  const batch = new FrameBatch(SLOTS, SIZE),
    view = new DataView(batch.buffer.buffer),
    found = new Set<string>();
  const isOwn = (from: string, ip?: number) =>
    own.has(machineAt(port, from, ip === undefined ? [] : [Ip.from4(ip).toString()]).at(-1) ?? "");
  try {
    for (const end = performance.now() + WAIT; performance.now() < end && found.size < MOST;) {
      await delay(LOOK);
      const count = batch.receive(fd);
      for (let slot = 0; slot < count; slot++) {
        const at = slot * SIZE, from = macFromBytes(batch.buffer, at + SOURCE);
        const type = view.getUint16(at + TYPE);
        if (!isOwn(from)) found.add(`a MAC of ${from}`);
        const ip = type === IPV4
          ? view.getUint32(at + IP_SOURCE)
          : type === ARP
          ? view.getUint32(at + ARP_SENDER)
          : 0;
        // A client of DHCP, or one that looks whether an address is free, has none yet.
        if (isOwn(from) && ip !== 0 && !isOwn(from, ip)) {
          found.add(`${type === ARP ? "ARP of " : ""}${Ip.from4(ip)}`);
        }
      }
    }
  } finally {
    libc.close(fd);
  }
  return [...found].slice(0, MOST);
}
