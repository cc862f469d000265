/** Creates and finds container interfaces whose veth pair ends in the host's own namespace, instead of in the network's. */
import { EOPNOTSUPP, SystemError } from "../../../ffi/errno.ts";
import type { Netlink } from "../../../ffi/netlink.ts";
import { changeLink, deleteLink, newMacvlan } from "../../../ffi/netlink_link.ts";
import { type Link, listLinks, namespaceNumber } from "../../../ffi/netlink_links.ts";
import { home } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import { invalid } from "../../common/refusal.ts";
import { addPair, type BridgeEnd, taken, unlessThere, type VethEnd } from "./pair.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/**
 * Creates a veth pair from a container to the host's own namespace, and over the end there a macvlan that is a port
 * of the network's bridge. All frames of the container leave by the macvlan and none reaches the host's stack, while
 * tools that shape or count the host's interfaces find one for the container.
 *
 * @param hostEnd The name of the veth's end in the host's namespace.
 * @throws Refusal "exists" when one of the names is taken
 */
export async function addOverHost(
  here: NetworkNamespace,
  near: BridgeEnd,
  host: NetworkNamespace,
  hostEnd: string,
  target: NetworkNamespace,
  far: VethEnd,
): Promise<void> {
  const { master, up, ...rest } = near;
  await addPair(host, { ...rest, name: hostEnd }, target, far, () => here.link(near.name));
  try {
    // This precedes setting it up: from then on the host would receive what the container broadcasts.
    isolateHostEnd(hostEnd);
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

/**
 * The veth end below a port that is a macvlan; undefined when the port lies on anything else than a veth in the
 * host's namespace.
 */
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

/** Names of all these ends of a network, including those whose port is gone. @param host A socket of the host's namespace. */
export async function hostEndsOf(path: string, host: Netlink): Promise<string[]> {
  const alias = aliasOf(path);
  return (await listLinks(host)).filter((link) => link.kind === "veth" && link.alias === alias)
    .map(({ name }) => name);
}

/** The alias by which a network's ends are recognised: the path of its namespace. */
function aliasOf(path: string): string {
  return path.slice(-255);
}

/** Ensures, at each comparison, that the host processes nothing that a container sends. */
export async function ensureHostEnd(host: NetworkNamespace, { name, arp }: Link): Promise<void> {
  isolateHostEnd(name);
  if (arp) await host.netlink.run(changeLink(name, { arp: false }));
}

/** Otherwise the host would accept a container's router advertisements (IPv6) and answer its broadcasts (IPv4). */
function isolateHostEnd(name: string): void {
  setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "1");
  setSysctl(`net/ipv4/conf/${name}/rp_filter`, "1");
}
