/** The sockets at the gateways of this host's networks, opened in each network's namespace. */
import { libc } from "../../../ffi/libc.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { listenTcp } from "../../../ffi/tcp.ts";
import { openUdp } from "../../../ffi/udp.ts";
import type { Ip } from "../../common/ip.ts";
import { DNS_PORT } from "../../overlay_names/gateway_messages.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** Octets of the receive buffer: a thousand networks have one each, and some hundred queries are a burst. */
const RECEIVE_BUFFER = 256 * 1024;

/** The two sockets of a gateway. They keep the namespace that they are in, so they are closed before it is to go. */
export class GatewaySockets {
  private constructor(
    readonly identity: string,
    readonly address: Ip,
    /** UDP, and listening TCP. */
    readonly descriptors: readonly [number, number],
  ) {}

  /**
   * Opens both at a gateway's port 53. Those of an agent before this one, which gatewayd still has, may be there: the newest
   * UDP socket gets all queries, and both TCP sockets get connections.
   *
   * @returns undefined when there is no namespace at the path
   * @throws SystemError, NamespaceError
   */
  static open(path: string, address: Ip): GatewaySockets | undefined {
    using namespace = NetworkNamespace.openIfAny(path);
    if (!namespace) return undefined;
    const what = `${address}:${DNS_PORT} in ${path}`;
    return inNamespace(namespace.fd, () => {
      const options = { share: true, early: true, buffer: RECEIVE_BUFFER };
      const udp = openUdp(address.bytes, DNS_PORT, `${what}/udp`, options);
      try {
        const descriptors = [udp, listenTcp(address.bytes, DNS_PORT, `${what}/tcp`)] as const;
        return new GatewaySockets(namespace.identity, address, descriptors);
      } catch (error) {
        libc.close(udp);
        throw error;
      }
    });
  }

  /** True for sockets in the namespace that is at the path now, at this address. */
  isAt(path: string, address: Ip): boolean {
    using namespace = NetworkNamespace.openOrNone(path);
    return namespace?.identity === this.identity && this.address.equals(address);
  }

  close(): void {
    for (const fd of this.descriptors) libc.close(fd);
  }
}
