/** Fills dnsd's zones from the mirror's networks and members, and keeps them up to date. */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { Network } from "../nex/network.ts";
import type { NexView, ViewChange } from "../nex/view.ts";
import type { Zones } from "./zones.ts";

export interface FeedOptions {
  /** Seconds, of every record. */
  readonly ttl: number;
  /** etcd's revision that the view shows: the zones' serial. */
  readonly revision: () => number;
  /** Called with the reason why a domain or name cannot be served, as an old store may hold; all others are served. */
  readonly report?: (why: string) => void;
}

/** Fills the zones from the view, and updates them with each of its changes until the returned function is called. */
export function feedZones(
  view: NexView,
  zones: Pick<Zones, "setNetwork" | "deleteNetwork" | "setName" | "deleteName" | "publish">,
  { ttl, revision, report = () => {} }: FeedOptions,
): () => void {
  const setNetwork = (network: Network) =>
    zones.setNetwork({
      name: network.name,
      domain: network.domain,
      subnets: [network.subnet4, network.subnet6].flatMap((s) => s ?? []),
      nameservers: network.nameservers,
      ttl,
    });
  const setName = (name: string) => {
    // A name is removed with its network, although the members are swept later.
    const holders = view.membersNamed(name).filter((member) => view.networkOf(member));
    const addresses = holders.flatMap(({ ip4, ip6 }) => [ip4, ip6]).flatMap((a) =>
      a ? Ip.tryParse(a) ?? [] : []
    );
    if (holders.length) zones.setName(name, addresses);
    else zones.deleteName(name);
  };
  const unlessRefused = (set: () => void) => {
    try {
      set();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      report(error.message);
    }
  };
  const take = ({ networks, members }: ViewChange) => {
    const names = new Set<string>();
    for (const { before, after } of networks) {
      if (after) unlessRefused(() => setNetwork(after));
      else if (before) zones.deleteNetwork(before.name);
      if (!before !== !after) {
        for (const { name } of view.membersOf((after ?? before)?.name ?? "")) if (name) names.add(name);
      }
    }
    for (const { before, after } of members) {
      for (const member of [before, after]) if (member?.name) names.add(member.name);
    }
    for (const name of names) unlessRefused(() => setName(name));
    zones.publish(revision());
  };
  take({
    networks: [...view.networks()].map((after) => ({ before: undefined, after })),
    members: [...view.members()].map((after) => ({ before: undefined, after })),
  });
  return view.subscribe(take);
}
