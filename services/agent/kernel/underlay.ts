import { Netlink } from "../../../ffi/netlink.ts";
import { type LinkAddress, listAddresses, listRoutes } from "../../../ffi/netlink_address.ts";
import { listLinks } from "../../../ffi/netlink_links.ts";
import { Ip } from "../../common/ip.ts";

const LOOPBACK = 127;

/** The interface of this process's namespace that has the VTEP's address; undefined when none has. `mtu` in octets. */
export async function underlayOf(vtep: Ip): Promise<{ name: string; mtu: number } | undefined> {
  using netlink = new Netlink();
  const at = (await addresses4(netlink)).find(({ ip }) => ip.equals(vtep));
  const link = at && (await listLinks(netlink)).find(({ index }) => index === at.link);
  return link && { name: link.name, mtu: link.mtu };
}

/**
 * The address to be reached at when none is configured: the first of the default route's interface, else the only
 * IPv4 address that is not loopback's; undefined when there is none, or no telling which.
 */
export async function defaultVtep(): Promise<Ip | undefined> {
  using netlink = new Netlink();
  const all = (await addresses4(netlink)).filter(({ ip }) => ip.bytes[0] !== LOOPBACK);
  // The kernel lists the one that it prefers first.
  const route = (await listRoutes(netlink)).find(({ prefix, destination }) =>
    prefix === 0 && destination.length === 4
  );
  const found = route && all.find(({ link }) => link === route.link);
  return found?.ip ?? (all.length === 1 ? all[0]?.ip : undefined);
}

async function addresses4(netlink: Netlink): Promise<(LinkAddress & { readonly ip: Ip })[]> {
  const four = (await listAddresses(netlink)).filter(({ address }) => address.length === 4);
  return four.map((address) => ({ ...address, ip: new Ip(4, address.address) }));
}
