/** Tests whether a machine is still behind a port of a network's bridge, by the port's device, its carrier, and what it sends. */
import { libc } from "../../../ffi/libc.ts";
import { machineFilter } from "../../../ffi/machine_filters.ts";
import type { Link } from "../../../ffi/netlink_links.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { FrameBatch, openPacket, sendFrames } from "../../../ffi/packet.ts";
import { delay } from "../../common/async.ts";
import type { Ip } from "../../common/ip.ts";
import { macToBytes } from "../../common/mac.ts";
import { BRIDGE } from "../../overlay/state.ts";
import { arpRequest } from "./announcement.ts";
import { NetworkNamespace } from "./network_namespace.ts";

/** How many ARP requests a machine may leave unanswered before it counts as gone, and the wait after each, in ms. */
const PROBES = 4, WAIT = 200;
/** How often it is looked for frames of the machine, and for the device, in ms. */
const STEP = 10, LOOK = 100;

/** The result of the test; `why` is the end of a sentence that begins with the machine. */
export interface FoundMachine {
  readonly isThere: boolean;
  readonly why: string;
}

/**
 * Looks for a machine. Where its device is there, with a carrier, it counts as gone once it has sent nothing for 0.8 s, in spite of
 * four ARP requests: it may be slow, or not answer ARP, but one that was migrated is to be reached within a second. A device that
 * goes meanwhile, as a hypervisor's does after a migration, ends the wait.
 *
 * @param path Of the network's namespace. @param gateway The network's, which asks.
 */
export async function findMachine(
  path: string,
  port: string,
  { mac, address, gateway }: { readonly mac: string; readonly address: Ip; readonly gateway: Ip },
): Promise<FoundMachine> {
  using namespace = NetworkNamespace.openIfAny(path);
  const gone = (why: string) => ({ isThere: false, why: `was at ${port}, ${why}` });
  if (!namespace) return gone("which is gone");
  const link = await linkAt(namespace, port);
  if (typeof link === "string") return gone(link);
  const bridge = await namespace.link(BRIDGE);
  if (!bridge) return gone("which is gone");
  const request = arpRequest({ mac: bridge.mac, address: gateway.u32 }, address.u32);
  const fd = inNamespace(
    namespace.fd,
    () => openPacket(link.index, machineFilter(macToBytes(mac)), port, { buffer: 4096, bridged: true }),
  );
  try {
    const batch = new FrameBatch(1, 64);
    for (let probe = 0; probe < PROBES; probe++) {
      sendFrames(namespace.fd, port, [request]);
      for (let until = performance.now() + WAIT, look = LOOK; performance.now() < until; look -= STEP) {
        await delay(STEP);
        const count = batch.receive(fd);
        if (count > 0) return { isThere: true, why: `still sends at ${port}` };
        // Less than none: the device is gone or down.
        if (count === 0 && look > 0) continue;
        look = LOOK;
        const now = await linkAt(namespace, port);
        if (typeof now === "string") return gone(now);
      }
    }
    return gone("where it no longer sends, nor answers ARP");
  } finally {
    libc.close(fd);
  }
}

/** The port, or why no machine is behind it. */
async function linkAt(namespace: NetworkNamespace, port: string): Promise<Link | string> {
  const link = namespace.has(port) ? await namespace.link(port) : undefined;
  if (!link || link.master !== namespace.index(BRIDGE)) return "which is gone";
  return link.up && link.carrier ? link : "which has no carrier";
}
