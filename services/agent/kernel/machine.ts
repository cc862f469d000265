/** Tests whether a machine is still behind a port of a network's bridge, by the port's device, its carrier, and ARP requests. */
import { libc } from "../../../ffi/libc.ts";
import { arpOfFilter } from "../../../ffi/machine_filters.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { FrameBatch, openPacket, sendFrames } from "../../../ffi/packet.ts";
import { delay } from "../../common/async.ts";
import type { Ip } from "../../common/ip.ts";
import { macToBytes } from "../../common/mac.ts";
import { BRIDGE } from "../../overlay/state.ts";
import { arpRequest } from "./announcement.ts";
import { NetworkNamespace } from "./network_namespace.ts";

/** How many ARP requests a machine may leave unanswered before it counts as gone, and the wait for each answer, in ms. */
const PROBES = 3, WAIT = 200, STEP = 10;

/** The result of the test; `why` is the end of a sentence that begins with the machine. */
export interface FoundMachine {
  readonly isThere: boolean;
  readonly why: string;
}

/**
 * Looks for a machine.
 *
 * @param path Of the network's namespace. @param gateway The network's, which asks.
 */
export async function findMachine(
  path: string,
  port: string,
  { mac, address, gateway }: { readonly mac: string; readonly address: Ip; readonly gateway: Ip },
): Promise<FoundMachine> {
  using namespace = NetworkNamespace.openIfAny(path);
  const link = namespace?.has(port) ? await namespace.link(port) : undefined;
  if (!namespace || !link || link.master !== namespace.index(BRIDGE)) {
    return { isThere: false, why: `was at ${port}, which is gone` };
  }
  if (!link.up || !link.carrier) return { isThere: false, why: `was at ${port}, which has no carrier` };
  const bridge = await namespace.link(BRIDGE);
  if (!bridge) return { isThere: false, why: `was at ${port}, which is gone` };
  const request = arpRequest({ mac: bridge.mac, address: gateway.u32 }, address.u32);
  const fd = inNamespace(
    namespace.fd,
    () => openPacket(link.index, arpOfFilter(macToBytes(mac)), port, { buffer: 4096, bridged: true }),
  );
  try {
    const batch = new FrameBatch(1, 64);
    for (let probe = 0; probe < PROBES; probe++) {
      sendFrames(namespace.fd, port, [request]);
      for (let waited = 0; waited < WAIT; waited += STEP) {
        await delay(STEP);
        if (batch.receive(fd) > 0) return { isThere: true, why: `answers ARP at ${port}` };
      }
    }
    return { isThere: false, why: `was at ${port}, where it no longer answers ARP` };
  } finally {
    libc.close(fd);
  }
}
