import { EOPNOTSUPP, SystemError } from "../../../ffi/errno.ts";
import { changeLink, deleteLink, newMacvlan } from "../../../ffi/netlink_link.ts";
import { type Link, listLinks, namespaceNumber } from "../../../ffi/netlink_links.ts";
import { home } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import { invalid } from "../../common/refusal.ts";
import { addPair, type End, type Near, taken, unlessThere } from "./pair.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/**
 * Makes a pair of veths from a container to the host's own namespace, and on the end there a macvlan that is a port in
 * the network's: all that the container sends comes out of that, none of it is the host's, and whoever shapes or counts
 * the host's interfaces finds one for the container.
 *
 * @param hostEnd the name of the veth's end in the host's namespace
 * @throws Refusal "exists" when one of the names is taken
 */
export async function addOverHost(
  here: NetworkNamespace,
  near: Near,
  host: NetworkNamespace,
  hostEnd: string,
  target: NetworkNamespace,
  far: End,
): Promise<void> {
  const { master, up, ...rest } = near;
  await addPair(host, { ...rest, name: hostEnd }, target, far);
  try {
    // Before it is up: from then on the host would listen to what the container sends to all.
    keepApart(hostEnd);
    await host.netlink.run(changeLink(hostEnd, { arp: false, up: true, alias: aliasOf(here.path) }));
    const port = { name: near.name, mtu: near.mtu, lower: host.index(hostEnd), namespace: here.fd };
    const refused = await unlessThere(host.netlink.run(newMacvlan(port)));
    if (refused) throw taken(near.name, here.path, refused);
  } catch (error) {
    await host.netlink.run(deleteLink(hostEnd));
    if (!(error instanceof SystemError && error.errno === EOPNOTSUPP)) throw error;
    const message = "hostInterface: this host's kernel has no macvlan devices (CONFIG_MACVLAN): leave it out";
    throw invalid(message);
  }
  if (master || up) {
    await here.netlink.run(changeLink(near.name, { ...master && { master }, ...up && { up } }));
  }
}

/** The veth's end that a port is a macvlan on; undefined when it lies on anything but a veth in the host's namespace. */
export async function hostEndOf(
  here: NetworkNamespace,
  port: Link,
  host: NetworkNamespace,
): Promise<Link | undefined> {
  if (port.kind !== "macvlan" || port.peerNamespace === undefined) return undefined;
  if (port.peerNamespace !== await namespaceNumber(here.netlink, home)) return undefined;
  const end = await host.link(port.peer);
  return end?.kind === "veth" ? end : undefined;
}

/** Names of all such ends of a network, also of those whose port is gone. */
export async function hostEndsOf(path: string, host: NetworkNamespace): Promise<string[]> {
  const alias = aliasOf(path);
  return (await listLinks(host.netlink)).filter((link) => link.kind === "veth" && link.alias === alias)
    .map(({ name }) => name);
}

/** By the path of its namespace, a network's ends are told from others'. */
function aliasOf(path: string): string {
  return path.slice(-255);
}

/** Sees to it, at every look, that nothing which a container sends is taken for the host's by the host. */
export async function seeToHostEnd(host: NetworkNamespace, { name, arp }: Link): Promise<void> {
  keepApart(name);
  if (arp) await host.netlink.run(changeLink(name, { arp: false }));
}

/** IPv6 would have the host believe a container's router advertisements, IPv4 its broadcasts. */
function keepApart(name: string): void {
  setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "1");
  setSysctl(`net/ipv4/conf/${name}/rp_filter`, "1");
}
