/** Opens the server's UDP port on an interface, and finds other servers that have bound it too. */
import { EADDRINUSE, SystemError } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/folder.ts";
import { libc } from "../../ffi/libc.ts";
import { attachFilter, nothing } from "../../ffi/packet.ts";
import { openUdp } from "../../ffi/udp.ts";
import { type UdpOwner, udpOwners } from "../../ffi/udp_owners.ts";
import { Refusal } from "../common/refusal.ts";
import { SERVER_PORT } from "./numbers.ts";

export interface DhcpPort {
  /** The socket that is bound to it, by which nothing is received. */
  readonly fd: number;
  /** Another server's socket is bound on every interface, so that it cannot be seen whether it serves this one. */
  readonly shared: boolean;
}

/**
 * Takes the server's port on one interface. Without a socket there the kernel would answer clients that unicast to
 * the server with "port unreachable", and other servers could not see that the interface is served.
 *
 * @throws Refusal "unavailable" when another server has the port there, or on every interface for itself
 */
export function takePort(name: string, ifindex: number): DhcpPort {
  // The port is shared only where it can be seen with which sockets.
  const visible = udpOwners(SERVER_PORT) !== undefined;
  const fd = open(name, ifindex, visible);
  try {
    attachFilter(fd, nothing);
    const others = socketsExcept([fd]);
    if (others.some((other) => other.ifindex === ifindex)) throw taken(name, "of this interface");
    return { fd, shared: others.some((other) => other.ifindex === 0) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** The interfaces on which sockets other than our own, `fds`, are bound to the server's port. */
export function contestedInterfaces(fds: readonly number[]): Set<number> {
  return new Set(socketsExcept(fds).map(({ ifindex }) => ifindex));
}

function open(device: string, ifindex: number, share: boolean): number {
  try {
    return openUdp(new Uint8Array(4), SERVER_PORT, `UDP port ${SERVER_PORT} of ${device}`, { device, share });
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== EADDRINUSE) throw error;
    const owners = udpOwners(SERVER_PORT);
    throw owners?.some((owner) => owner.ifindex === ifindex) || !owners
      ? taken(device, owners ? "of this interface" : "of this interface, or of every one")
      : new Refusal(
        "unavailable",
        `dhcpd.interfaces: ${device}: another DHCP server or relay has UDP port ${SERVER_PORT} of every interface for ` +
          "itself; stop it, or have it bind its own alone (dnsmasq: bind-interfaces)",
        { cause: error },
      );
  }
}

function taken(name: string, where: string): Refusal {
  return new Refusal(
    "unavailable",
    `dhcpd.interfaces: ${name}: another DHCP server or relay listens on UDP port ${SERVER_PORT} ${where}; stop it, or ` +
      "leave the interface to it",
  );
}

function socketsExcept(fds: readonly number[]): UdpOwner[] {
  const own = new Set(fds.map((fd) => Number(statusOf(fd).inode)));
  return (udpOwners(SERVER_PORT) ?? []).filter(({ inode }) => !own.has(inode));
}
