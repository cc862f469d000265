/** Lists the machines of all networks in one form: members and leases of LANs, endpoints and reservations of overlays. */
import { Ip } from "../../common/ip.ts";
import type { Member } from "../../nex/member.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { endpointTo, HostsBehind, sorted } from "../../overlay_names/attached.ts";
import { ownName } from "../../overlay_names/names.ts";
import type { AnyNetwork, Cluster, LanNetwork, OverlayNetwork } from "../cluster.ts";
import { mayHave } from "../spaces.ts";
import { summaryOf } from "./summary.ts";

/** A machine in a network. */
export interface Machine {
  readonly network: string;
  /** The network's name, where it is not the key. */
  readonly networkTitle?: string;
  /** Its MAC; the endpoint's id where the record has none. */
  readonly id: string;
  readonly mac: string;
  readonly name: string;
  readonly aliases: readonly string[];
  /** The name by which the client calls itself. */
  readonly client?: string;
  readonly address: string;
  /** `member` and `lease` in a LAN; the kind of the endpoint, or `reserved` for one that is not attached, in an overlay. */
  readonly kind: string;
  readonly state: string;
  readonly host: string;
  readonly vtep: string;
  /** When its lease ends, in RFC 3339; absent: it has none that runs. */
  readonly expires?: string;
  /** The id of an endpoint. */
  readonly endpoint?: string;
  /** Hosts that have not applied the endpoint, and those with an agent of SAND's, which do not say. */
  readonly pending?: readonly string[];
  readonly silent?: readonly string[];
  /** Further facts from its record. */
  readonly details: Readonly<Record<string, string>>;
}

/** True for a machine that is wanted, by what it can be found by. */
export type Fits = (...texts: readonly (string | undefined)[]) => boolean;

const ALL: Fits = () => true;

/** The machines of a network. @param now In ms since the epoch. */
export function machinesOf(cluster: Cluster, network: AnyNetwork, now: number): Machine[] {
  return network.kind === "lan" ? members(cluster, network, now, ALL) : attached(cluster, network, now, ALL);
}

/** Those that fit. Of an overlay network only the endpoints are looked at whose records have the text somewhere. */
function machinesWith(
  cluster: Cluster,
  network: AnyNetwork,
  text: string,
  now: number,
  fits: Fits,
): Machine[] {
  if (network.kind === "lan") return members(cluster, network, now, fits);
  const space = network.some(mayHave(text));
  return space ? attached(cluster, network, now, fits, space) : [];
}

function members({ nex }: Cluster, { key }: LanNetwork, now: number, fits: Fits): Machine[] {
  return nex.membersOf(key).filter((member) =>
    fits(member.mac, member.ip4, member.ip6, member.name, member.record.client_name)
  ).map((member) => fromMember(key, member, nex.isListed(member), now));
}

function fromMember(network: string, member: Member, isListed: boolean, now: number): Machine {
  const { mac, name = "", ip4 = "", ip6, expires, record, modRevision } = member;
  const runs = expires !== undefined && expires * 1000 > now;
  return {
    network,
    id: mac,
    mac,
    name,
    aliases: [],
    address: ip4 || ip6 || "",
    kind: isListed ? "member" : "lease",
    state: runs ? "lease runs" : expires === undefined ? "no lease" : "lease ended",
    host: "",
    vtep: "",
    ...record.client_name && { client: record.client_name },
    ...runs && { expires: timeOf(expires) },
    details: {
      ...record.client_name && { "client's own name": record.client_name },
      ...record.hostname && { "name that the client asked for": record.hostname },
      ...ip4 && ip6 && { "IPv6 address": ip6 },
      ...record.shared && { "name may be shared": "yes" },
      "revision of its record": String(modRevision),
    },
  };
}

/** @param space The contents of the network, or as much of them as may fit. */
function attached(
  cluster: Cluster,
  network: OverlayNetwork,
  now: number,
  fits: Fits,
  space = network.space,
): Machine[] {
  const { key, title } = network, hosts = new HostsBehind(summaryOf(cluster, network, now).hosts.reports());
  const found: Machine[] = [], seen = new Set<string>();
  for (const endpoint of sorted(space)) {
    const { mac, address, id, record } = endpoint, name = ownName(space, endpoint);
    if (mac !== undefined) seen.add(mac);
    if (!fits(mac, address?.toString(), name, id, ...record.strand_aliases ?? [])) continue;
    const machine = fromEndpoint(endpoint, endpointTo(key, space, endpoint, hosts), hosts, now);
    found.push(title === key ? machine : { ...machine, networkTitle: title });
  }
  for (const [mac, { name = "", ip4 = "" }] of space.reservations) {
    if (seen.has(mac) || !fits(mac, ip4, name)) continue;
    found.push({
      network: key,
      ...title !== key && { networkTitle: title },
      id: mac,
      mac,
      name,
      aliases: [],
      address: ip4,
      kind: "reserved",
      state: "not attached",
      host: "",
      vtep: "",
      details: {},
    });
  }
  return found;
}

function fromEndpoint(
  { record, created, modified }: OverlayEndpoint,
  sent: ReturnType<typeof endpointTo>,
  hosts: HostsBehind,
  now: number,
): Machine {
  const { id = "", mac = "", applied = 0, expires } = sent, { count, silent } = hosts;
  const until = expires?.seconds ?? undefined, runs = until !== undefined && until * 1000 > now;
  const told = count === 1 ? "host" : "hosts";
  return {
    network: sent.net ?? "",
    id: mac || id || "",
    mac: mac ?? "",
    name: sent.name ?? "",
    aliases: record.strand_aliases ?? [],
    address: sent.address ?? "",
    kind: sent.kind ?? "",
    state: !sent.active ? "inactive" : `on ${applied} of ${count} ${told}`,
    host: sent.host ?? "",
    vtep: sent.vtep ?? "",
    ...runs && { expires: timeOf(until) },
    endpoint: id ?? "",
    pending: hosts.before(modified),
    silent,
    details: {
      ...record.strand_port && { "port of its host": record.strand_port },
      ...record.target_netns_path && { "network namespace": record.target_netns_path },
      ...record.strand_cni && { container: record.strand_cni.container },
      ...record.strand_docker && { "endpoint of Docker": record.strand_docker.endpoint },
      ...record.strand_unnamed && { "name that another machine had": record.strand_unnamed },
      ...record.strand_allowed?.length && {
        "may also use": record.strand_allowed.map(({ address, mac }) => mac ? `${address} ${mac}` : address)
          .join(", "),
      },
      ...record.created_at && { "created at": record.created_at },
      "created at revision": String(created),
      "changed at revision": String(modified),
    },
  };
}

/** The most machines that are found: all 100,000 of a large store would take seconds, and no reader looks through them. */
export const MOST_FOUND = 1000;

export interface FoundMachines {
  readonly machines: readonly Machine[];
  /** True: there may be more, which are not looked for. */
  readonly isCut: boolean;
}

/** The machines that have a text as part of MAC, address, name or endpoint's id, over all networks. */
export function findMachines(cluster: Cluster, text: string, now: number): FoundMachines {
  const wanted = text.toLowerCase();
  // A MAC is also written with hyphens, or without anything between its bytes.
  const bare = wanted.replace(/[:-]/g, ""), isMac = bare.length >= 4 && /^[\da-f]+$/.test(bare);
  const fits: Fits = (mac, ...texts) =>
    isMac && mac?.replaceAll(":", "").includes(bare) ||
    [mac, ...texts].some((text) => text?.toLowerCase().includes(wanted));
  const machines: Machine[] = [];
  for (const network of cluster.networks()) {
    for (const machine of machinesWith(cluster, network, wanted, now, fits)) {
      if (machines.length === MOST_FOUND) return { machines, isCut: true };
      machines.push(machine);
    }
  }
  return { machines, isCut: false };
}

/** A machine by its MAC or its endpoint's id. @param key Of its network; undefined: in all that have it. */
export function machineById(cluster: Cluster, id: string, key: string | undefined, now: number): Machine[] {
  const wanted = id.toLowerCase();
  const network = key === undefined ? undefined : cluster.network(key);
  const networks = key === undefined ? cluster.networks() : network ? [network] : [];
  return networks.flatMap((network) =>
    machinesWith(cluster, network, wanted, now, (...texts) => texts.includes(wanted))
      .filter((machine) => [machine.id, machine.mac, machine.endpoint].includes(wanted))
  );
}

/** The value by which addresses are sorted. */
export function addressOrder({ address }: Pick<Machine, "address">): number | undefined {
  const ip = Ip.tryParse(address);
  return ip && Number(ip.value);
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
