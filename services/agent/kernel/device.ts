/**
 * Moves devices of the host into a network's namespace, where they become ports of its bridge, and back. A device
 * that cannot leave the host's namespace, as a bond, stays there; the port is then a macvlan over it, with its name
 * and MAC, which receives all that the device receives.
 */
import { EEXIST, EINVAL, EOPNOTSUPP, SystemError } from "../../../ffi/errno.ts";
import { listAddresses } from "../../../ffi/netlink_address.ts";
import { changeLink, deleteLink, newMacvlan } from "../../../ffi/netlink_link.ts";
import { type Link, listLinks } from "../../../ffi/netlink_links.ts";
import { closest } from "../../common/closest.ts";
import { Ip } from "../../common/ip.ts";
import { Refusal } from "../../common/refusal.ts";
import { BRIDGE, PROBE, UPLINK, VXLAN } from "../../overlay/state.ts";
import { failpoint } from "../failpoints.ts";
import { NetworkNamespace, OWN_NAMESPACE } from "./network_namespace.ts";

/** True for the names that the agent's own devices have in a network's namespace. */
export function isOwnName(name: string): boolean {
  return ["lo", BRIDGE, VXLAN, UPLINK, PROBE].includes(name) || /^sand/.test(name);
}

/** The alias of a macvlan that the agent has made over a device of the host. */
const OVER = "strand: over a device of the host";
/** The alias of a device that was moved, unless it has another one: by it the port is known where it gets another name. */
const aliasOf = (device: string) => `strand: the port ${device}`;
/** A macvlan's name until it has that of the device; an agent that was killed may have left it so. */
const UNNAMED = "sandport";

/**
 * Makes a device a port of the network whose namespace is at `path`: moves it there, unless it is there already, or makes a
 * macvlan over it there, and into the bridge.
 *
 * @param underlay The name of the interface that carries the VXLAN packets.
 * @param mtu The network's MTU.
 * @returns the kind of a device that stays the host's, `bond`; undefined for one that is moved
 * @throws Refusal that says what is in the way; NamespaceGone without the namespace; SystemError
 */
export async function makePort(
  path: string,
  device: string,
  { underlay, mtu }: { readonly underlay: string; readonly mtu: number },
): Promise<string | undefined> {
  using namespace = NetworkNamespace.open(path);
  using host = NetworkNamespace.open(OWN_NAMESPACE);
  let lower = await host.link(device), link = await portOf(namespace, device, lower);
  if (link && lower && !(link.alias === OVER && link.peer === lower.index)) {
    throw new Refusal(
      "conflict",
      `the host has another interface ${device} beside the one that is in the network`,
    );
  }
  if (!link) {
    const found = await unused(host, device, underlay);
    lower = await moveOrCover(host, found, namespace) ? undefined : found;
    failpoint("device:moved");
    link = await namespace.link(device);
    if (!link) throw new Refusal("unavailable", `${device} has gone while it was moved`);
  }
  if (lower && !lower.up) await host.netlink.run(changeLink(lower.index, { up: true }));
  const master = namespace.index(BRIDGE), kept = lower?.kind;
  if (link.alias === "") await namespace.netlink.run(changeLink(link.index, { alias: aliasOf(device) }));
  if (link.master === master && link.up && link.mtu === mtu) return kept;
  try {
    await namespace.netlink.run(changeLink(link.index, { mtu }));
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === EINVAL)) throw error;
    throw new Refusal("forbidden", `${device} cannot have the network's MTU, ${mtu}`, { cause: error });
  }
  await namespace.netlink.run(changeLink(link.index, { master, up: true }));
  failpoint("device:attached");
  return kept;
}

/** Moves a device back to the host, or removes the macvlan over it. Nothing is done where it is not there. */
export async function giveBack(path: string, device: string): Promise<void> {
  using namespace = NetworkNamespace.openIfAny(path);
  await namespace?.netlink.run(deleteLink(UNNAMED));
  if (!namespace) return;
  using host = NetworkNamespace.open(OWN_NAMESPACE);
  const link = await portOf(namespace, device, await host.link(device));
  if (!link) return;
  if (link.alias === OVER) return await namespace.netlink.run(deleteLink(link.index));
  const alias = link.alias === aliasOf(device) ? { alias: "" } : {};
  await namespace.netlink.run(changeLink(link.index, { up: false, master: 0, ...alias }));
  failpoint("device:detached");
  try {
    await namespace.netlink.run(changeLink(link.index, { namespace: host.fd }));
    failpoint("device:returned");
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === EEXIST)) throw error;
    const message = `${device} stays in the network: the host has another interface of that name by now`;
    throw new Refusal("conflict", message, { cause: error });
  }
}

/** The port of a device; one that was renamed has its own name again. @param lower The host's device of that name. */
async function portOf(
  namespace: NetworkNamespace,
  device: string,
  lower: Link | undefined,
): Promise<Link | undefined> {
  const link = await namespace.link(device);
  if (link) return link;
  const renamed = (await listLinks(namespace.netlink)).find(({ alias, peer }) =>
    lower ? alias === OVER && peer === lower.index : alias === aliasOf(device)
  );
  if (!renamed) return undefined;
  await namespace.netlink.run(changeLink(renamed.index, { up: false }));
  await namespace.netlink.run(changeLink(renamed.index, { name: device }));
  return await namespace.link(device);
}

/** The device, where nothing on the host needs it. Throws Refusal. */
async function unused(host: NetworkNamespace, device: string, underlay: string): Promise<Link> {
  const links = await listLinks(host.netlink), link = links.find(({ name }) => name === device);
  if (!link) {
    const meant = closest(device, links.map(({ name }) => name));
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    throw new Refusal("not-found", `there is no interface "${device}" on this host${hint}`);
  }
  const refused = (why: string) => new Refusal("forbidden", `${device} ${why}`);
  if (link.kind === "bridge") {
    throw refused("is a bridge: attach one of its ports, or a veth whose other end is one of them");
  }
  if (link.master) {
    const master = links.find(({ index }) => index === link.master)?.name ?? link.master;
    throw refused(`is a port of ${master} already: take it out with "ip link set ${device} nomaster"`);
  }
  // A VLAN device or macvlan that carries the packets lies on another interface.
  for (let lower = links.find(({ name }) => name === underlay); lower;) {
    if (lower === link) throw refused("carries the packets between the hosts, which would lose each other");
    const { peer, peerNamespace, kind } = lower;
    lower = peer && peerNamespace === undefined && kind !== "veth"
      ? links.find(({ index }) => index === peer)
      : undefined;
  }
  for (const { address, prefix } of await listAddresses(host.netlink, link.index)) {
    // fe80::/10 comes with the interface (RFC 4291 §2.5.6).
    if (address.length === 16 && address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80) continue;
    const shown = `${new Ip(address.length === 4 ? 4 : 6, address)}/${prefix}`;
    throw refused(
      `has the address ${shown}, which it would lose: remove it with "ip address del ${shown} dev ${device}"`,
    );
  }
  return link;
}

/** @returns true: it is in the namespace now; false: a macvlan over it is. Throws Refusal, SystemError. */
async function moveOrCover(
  host: NetworkNamespace,
  link: Link,
  namespace: NetworkNamespace,
): Promise<boolean> {
  try {
    await host.netlink.run(changeLink(link.index, { namespace: namespace.fd }));
    return true;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.errno === EEXIST) throw taken(link, error);
    if (error.errno !== EINVAL) throw error;
  }
  await cover(host, link, namespace);
  return false;
}

/** Lays a macvlan over a device that cannot leave the host's namespace. Throws Refusal. */
async function cover(
  host: NetworkNamespace,
  { index, name, kind }: Link,
  namespace: NetworkNamespace,
): Promise<void> {
  const { netlink } = namespace;
  try {
    await netlink.run(deleteLink(UNNAMED));
    // The kernel makes none with the name of a link of the host's namespace, so it gets that in the other one.
    await host.netlink.run(newMacvlan({ name: UNNAMED, lower: index, namespace: namespace.fd }));
    const made = await namespace.link(UNNAMED);
    await netlink.run(changeLink(made?.index ?? 0, { name, alias: OVER }));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    await netlink.run(deleteLink(UNNAMED));
    if (error.errno === EEXIST) throw taken({ name }, error);
    const reason = error.errno === EOPNOTSUPP
      ? "this host's kernel has no macvlan devices (CONFIG_MACVLAN)"
      : error.errno === EINVAL
      ? 'it must be the only one, and "ip -d link show type macvlan" shows others'
      : error.message;
    const what = kind === "" ? name : `${name}, a ${kind},`;
    throw new Refusal(
      "forbidden",
      `${what} cannot leave the host's network namespace, and no macvlan in mode passthru can be made over it: ${reason}`,
      { cause: error },
    );
  }
}

function taken({ name }: Pick<Link, "name">, cause: SystemError): Refusal {
  return new Refusal("exists", `the network has an interface ${name} already`, { cause });
}
