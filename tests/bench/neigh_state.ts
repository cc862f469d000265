/** The network that `strand bench neigh` programs. */
import type { NetworkState } from "../../services/overlay/state.ts";

export const VTEP = "192.0.2.1";
const HOSTS = 200;

/** A network without entries. */
export function emptyNetwork(vni: number): NetworkState {
  const device = { up: true, mtu: 1450 };
  return {
    loopbackUp: true,
    bridge: { ...device, addresses: ["10.0.0.1/8"] },
    vxlan: {
      ...device,
      vni,
      port: 4789,
      proxy: true,
      rootUnderlay: true,
      learning: false,
      inBridge: true,
    },
    veths: new Map(),
    arp: new Map(),
    fdb: new Map(),
    flood: new Set(),
  };
}

/** The entries of remote endpoints, spread over 200 hosts. */
export function pairs(count: number): Pick<NetworkState, "arp" | "fdb"> {
  const arp = new Map<number, number>(), fdb = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const address = 0x0a000100 + i, mac = 0x0284_0000_0000 + address;
    arp.set(address, mac);
    fdb.set(mac, 0xc000_0202 + i % HOSTS);
  }
  return { arp, fdb };
}
