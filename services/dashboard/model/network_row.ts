/** A network as the list of networks shows it. */
import type { AnyNetwork, Cluster } from "../cluster.ts";
import { utilisationOf } from "./addresses.ts";
import { lagOf, mtuOf } from "./lag.ts";

/** A network in the list. */
export interface NetworkRow {
  /** The key of its page. */
  readonly name: string;
  /** Its name, where that is not the key. */
  readonly title?: string;
  readonly kind: "overlay" | "lan";
  /** Of an overlay network. */
  readonly id?: string;
  readonly range: string;
  readonly domain: string;
  readonly machines: number;
  readonly leases: number;
  readonly hosts: number;
  /** For an overlay network, how many of its hosts have not applied all of it, and its newest revision. */
  readonly behind?: number;
  readonly newest?: number;
  /** The MTU that its hosts use, and the largest that one of them has. */
  readonly mtu?: number;
  readonly largestMtu?: number;
  /** Addresses of the range that are in use, and all; absent where there is no range. */
  readonly used?: number;
  readonly size?: number;
  readonly problem?: string;
}

/** The row of a network. @param now In ms since the epoch. */
export function rowOf(cluster: Cluster, network: AnyNetwork, now: number): NetworkRow {
  const { settings, key: name, title, kind } = network, runs = (seconds = 0) => seconds * 1000 > now;
  const common = {
    name,
    ...title !== name && { title },
    kind,
    range: settings?.subnet4?.toString() ?? settings?.subnet6?.toString() ?? "",
    domain: settings?.domain ?? "",
    ...utilisationOf(cluster, network, now),
  };
  if (network.kind === "lan") {
    const members = cluster.nex.membersOf(name);
    return {
      ...common,
      machines: members.length,
      leases: members.filter(({ expires }) => runs(expires)).length,
      hosts: 0,
    };
  }
  const { space, id, problem } = network;
  let leases = 0;
  for (const { record } of space.endpoints.values()) if (record.kind === "dhcp") leases++;
  return {
    ...common,
    id,
    machines: space.endpoints.size,
    leases,
    hosts: space.hosts.size,
    ...lagOf(space),
    ...mtuOf(space),
    ...problem !== undefined && { problem },
  };
}
