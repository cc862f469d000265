/** The sockets at the gateways of this host's networks, opened in each network's namespace. */
import { interfaceIndex } from "../../../ffi/interface_index.ts";
import { libc } from "../../../ffi/libc.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { attachFilter, nothing, openPacket, portsUdpFilter } from "../../../ffi/packet.ts";
import { listenTcp } from "../../../ffi/tcp.ts";
import { openUdp } from "../../../ffi/udp.ts";
import type { Ip } from "../../common/ip.ts";
import { BRIDGE } from "../../overlay/state.ts";
import { DHCP_PORT, DNS_PORT } from "../../overlay_names/gateway_messages.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** Octets of the receive buffer: a thousand networks have one each, and some hundred queries are a burst. */
const RECEIVE_BUFFER = 256 * 1024;

/** The protocols that are answered at a gateway. */
export interface GatewayServices {
  readonly dns: boolean;
  readonly dhcp: boolean;
}

/** The network is not set up yet; once it is, the sockets are opened. */
class NoBridge extends Error {}

/** The sockets of a gateway. They keep the namespace that they are in, so they are closed before it is to go. */
export class GatewaySockets {
  private constructor(
    readonly identity: string,
    readonly address: Ip,
    readonly answered: GatewayServices,
    /** DNS by UDP, and by listening TCP; then DHCP. */
    readonly descriptors: readonly number[],
    /** A descriptor that the agent keeps and does not hand over. */
    private readonly own: readonly number[],
  ) {}

  /**
   * Opens them at a gateway's port 53, and at its bridge. Those of an agent before this one, which gatewayd still has, may be
   * there: the newest UDP socket gets all queries, both TCP sockets get connections, and both packet sockets what ports receive.
   *
   * @returns undefined when there is no namespace at the path, or no bridge in it
   * @throws SystemError, NamespaceError
   */
  static open(path: string, address: Ip, answered: GatewayServices): GatewaySockets | undefined {
    using namespace = NetworkNamespace.openIfAny(path);
    if (!namespace) return undefined;
    const what = `${address}:${DNS_PORT} in ${path}`, at = `${address}:${DHCP_PORT} in ${path}`;
    const options = { share: true, early: true, buffer: RECEIVE_BUFFER };
    return inNamespace(namespace.fd, () => {
      const handed: number[] = [], own: number[] = [];
      try {
        if (answered.dns) {
          handed.push(openUdp(address.bytes, DNS_PORT, `${what}/udp`, options));
          handed.push(listenTcp(address.bytes, DNS_PORT, `${what}/tcp`));
        }
        if (answered.dhcp) {
          // Without it the kernel would tell clients that renew by unicast that nothing listens.
          const port = openUdp(address.bytes, DHCP_PORT, at, options);
          own.push(port);
          attachFilter(port, nothing);
          const bridge = interfaceIndex(port, BRIDGE);
          if (bridge === 0) throw new NoBridge();
          handed.push(
            openPacket(0, portsUdpFilter(DHCP_PORT, bridge), at, {
              buffer: RECEIVE_BUFFER,
              bridged: true,
              locked: true,
            }),
          );
        }
        return new GatewaySockets(namespace.identity, address, answered, handed, own);
      } catch (error) {
        for (const fd of [...handed, ...own]) libc.close(fd);
        if (error instanceof NoBridge) return undefined;
        throw error;
      }
    });
  }

  /** True for sockets in the namespace that is at the path now, at this address. */
  isAt(path: string, address: Ip, answered: GatewayServices): boolean {
    using namespace = NetworkNamespace.openOrNone(path);
    return namespace?.identity === this.identity && this.isFor(address, answered);
  }

  isFor(address: Ip, { dns, dhcp }: GatewayServices): boolean {
    return this.address.equals(address) && this.answered.dns === dns && this.answered.dhcp === dhcp;
  }

  close(): void {
    for (const fd of [...this.descriptors, ...this.own]) libc.close(fd);
  }
}
