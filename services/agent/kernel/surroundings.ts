/** Lists the host's own routes, with which a new network's range must not overlap. */
import { Netlink } from "../../../ffi/netlink.ts";
import { listRoutes } from "../../../ffi/netlink_address.ts";
import { listLinks } from "../../../ffi/netlink_links.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import type { HostRoute } from "../../overlay/ranges.ts";

/** Names of the host's uplink interfaces into networks: see uplinkName(). */
const UPLINK = /^sandh[\da-f]{10}$/;

/** Lists the IPv4 routes of this process's namespace, without the default route and those to endpoints of networks. */
export async function hostRoutes(): Promise<HostRoute[]> {
  using netlink = new Netlink();
  const names = new Map((await listLinks(netlink)).map(({ index, name }) => [index, name]));
  return (await listRoutes(netlink)).flatMap(({ destination, prefix, gateway, link }) => {
    const name = names.get(link) ?? `interface ${link}`;
    if (destination.length !== 4 || prefix === 0 || UPLINK.test(name)) return [];
    return [{
      destination: Cidr.parse(`${new Ip(4, destination)}/${prefix}`),
      interface: name,
      far: gateway !== undefined,
    }];
  });
}
