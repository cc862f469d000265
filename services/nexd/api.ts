/** The methods of the gRPC API as functions from request to response, without gRPC. */
import type { MessageInput, NexMethods } from "../../proto/types.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { Refusals } from "../common/refusals.ts";
import { changeMemberIds } from "../nex/change_mac.ts";
import { heldIn } from "../nex/held.ts";
import { addMembers, deleteMembers, updateMembers } from "../nex/members.ts";
import { addNetwork, deleteNetwork, findNetwork, replaceNetwork } from "../nex/networks.ts";
import type { Nex } from "../nex/nex.ts";
import { strandingOptions } from "../nex/stranding_options.ts";
import type { NexNetworkRecord } from "../store/records.ts";
import { declinedIn, deleteDeclined } from "../nex/quarantine.ts";
import { effectiveRecord } from "../overlay_names/effective.ts";
import { findNamed, planChangeNamed } from "../overlay_names/networks.ts";
import { declinedOf, planDeleteDeclined } from "../overlay_names/quarantine.ts";
import type { AttachedMachines } from "./attached.ts";
import { ApplyBoth } from "./apply_both.ts";
import {
  declinedTo,
  heldTo,
  leasesIn,
  memberFrom,
  memberTo,
  namedMemberTo,
  namedTo,
  networkFrom,
  networkTo,
  refusedTo,
  updatedNamed,
  updatedNetwork,
  updateFrom,
} from "./convert.ts";
import type { NamedNetworks } from "./named_networks.ts";

/** Each method as a function; all of them answer from the mirror, which shows their own writes. */
export type NexApi = {
  [M in keyof NexMethods]: (
    request: NexMethods[M][0],
  ) => Promise<MessageInput<NexMethods[M][1]>> | MessageInput<NexMethods[M][1]>;
};

/**
 * The API over one store. Its functions throw {@link Refusal} for an invalid request, or one that cannot be fulfilled.
 * @param warn Called with a sentence where a request was fulfilled that may not be what the operator meant
 * @param overlays The networks with an overlay; undefined: there are none.
 * @param attached The machines that are attached to overlay networks; undefined: there are none.
 */
export function nexApi(
  nex: Nex,
  warn: (what: string) => void = () => {},
  overlays?: NamedNetworks,
  attached?: AttachedMachines,
): NexApi {
  const { view } = nex;
  const done = {};
  /** The networks with an overlay, if the named one is among them. @throws Refusal where etcd confirms that there is none */
  const kindOf = (name: string): Promise<NamedNetworks | undefined> =>
    nex.find(() => {
      if (overlays?.has(name) && !view.network(name)) return overlays;
      findNetwork(view, name);
      return undefined;
    });
  /** Like `kindOf` for a change, whose plan itself refuses a name of neither kind. */
  const found = async (name: string) =>
    !view.network(name) && await overlays?.knows(name) ? overlays : undefined;
  /** One without an overlay may have any options, as with Nex. */
  const warnOfOptions = (network: NexNetworkRecord) => {
    for (const what of strandingOptions(network)) warn(`network ${network.name}: ${what}`);
  };
  return {
    GetNetworks: () => ({
      nets: [...[...view.networks()].map(({ name }) => name), ...overlays?.names() ?? []].sort(),
    }),
    async GetNetwork({ name }) {
      const named = await kindOf(name);
      return { net: named ? await named.read(name, namedTo) : networkTo(findNetwork(view, name)) };
    },
    async GetMembers({ network }) {
      const named = await kindOf(network);
      const members = await named?.read(
        network,
        ({ record: { id } }) =>
          [...named.view.space(id).reservations.values()].sort((a, b) => a.mac < b.mac ? -1 : 1)
            .map((reservation) => namedMemberTo(reservation, network)),
      );
      if (members) return { members };
      const { name } = findNetwork(view, network);
      return {
        members: view.membersOf(name).map((member) => memberTo(member, name)),
        held: heldIn(view, name).map(heldTo),
      };
    },
    async GetDeclined({ network }) {
      const withNet = (named: Parameters<typeof declinedOf>[1]) =>
        overlays ? declinedOf(overlays.view, named).map((found) => ({ ...found, net: named.name })) : [];
      const own = network ? await (await kindOf(network))?.read(network, withNet) : undefined;
      if (own) return { declined: own.map(declinedTo) };
      const flat = declinedIn(view, network ? findNetwork(view, network).name : undefined);
      const others = network ? [] : await overlays?.readAll(withNet) ?? [];
      return { declined: [...flat, ...others.flat()].map(declinedTo) };
    },
    async DeleteDeclined({ network, list }) {
      const named = await found(network);
      if (named) {
        await named.change(network, (attempts) => ({
          result: undefined,
          plans: planDeleteDeclined(named.view, findNamed(named.view, network), list, attempts),
        }));
      } else await nex.change((draft) => deleteDeclined(draft, network, list));
      return done;
    },
    async AddNetwork({ network }) {
      if (!network) throw invalid("network: missing");
      const { name } = network;
      if (network.overlay) {
        const both = new ApplyBoth(nex, overlays);
        await both.apply({ networks: [network], members: [], dryRun: false }, { update: false });
        return done;
      }
      const requested = networkFrom(network);
      if (view.deleted.has(name)) await nex.sweepNetwork(name);
      await nex.change((draft) => addNetwork(draft, requested));
      warnOfOptions(requested);
      return done;
    },
    async UpdateNetwork(update) {
      const { name } = update, named = await found(name);
      if (named) {
        await named.change(name, () => {
          const before = findNamed(named.view, name);
          const network = updatedNetwork(effectiveRecord(before), update);
          const { plan } = planChangeNamed(named.view, before, updatedNamed(before, network, update.overlay));
          return { result: undefined, plans: plan ? [plan] : [] };
        });
        return done;
      }
      await nex.change((draft) => {
        const before = findNetwork(draft, name);
        if (update.overlay) {
          throw new Refusal(
            "forbidden",
            `network ${name}: overlay: it was made without one, and cannot get one`,
          );
        }
        return replaceNetwork(draft, before, updatedNetwork(before.record, update));
      });
      const now = view.network(name)?.record;
      if (update.optionsPresent.length && now) warnOfOptions(now);
      return done;
    },
    async DeleteNetwork({ name }) {
      const named = await found(name);
      if (named) {
        await named.delete(name);
        return done;
      }
      await nex.change((draft) => deleteNetwork(draft, name));
      await nex.sweepNetwork(name);
      return done;
    },
    async AddMembers({ net, list, force }) {
      const named = await found(net);
      if (named) {
        await named.members(net, (draft) => draft.add([{ list: list.map(memberFrom), force }]));
        return done;
      }
      // Nex's own client does not know the field that says whether a name is shared.
      const requested = list.map(memberFrom).map((m) => ({ ...m, shared: m.shared || undefined }));
      const shared = await nex.change((draft) => {
        const told: string[] = [];
        addMembers(draft, net, requested, { force, onShared: (what) => told.push(what) });
        return told;
      });
      for (const what of shared) warn(what);
      return done;
    },
    async UpdateMembers({ net, list, force }) {
      const requested = list.map(updateFrom), named = await found(net);
      if (named) await named.members(net, (draft) => draft.update(requested));
      else await nex.change((draft) => updateMembers(draft, net, requested, { force }));
      return done;
    },
    async DeleteMembers({ network, list, force }) {
      const named = await found(network);
      if (named) await named.members(network, (draft) => draft.delete(list));
      else await nex.change((draft) => deleteMembers(draft, network, list, { force }));
      return done;
    },
    async ChangeMemberID({ net, list }) {
      const named = await found(net);
      if (named) await named.members(net, (draft) => draft.move(list));
      else await nex.change((draft) => changeMemberIds(draft, net, list));
      return done;
    },
    async GetEndpoints({ network }) {
      return { endpoints: await attached?.endpoints(network) ?? [] };
    },
    async GetHosts({ network }) {
      return { hosts: await attached?.hosts(network) ?? [] };
    },
    async GetLeases({ network }) {
      const flat = !network
        ? [...view.networks()]
        : attached?.has(network) && !view.network(network)
        ? []
        : [await nex.find(() => findNetwork(view, network))];
      const now = Date.now() / 1000;
      const leases = flat.flatMap(({ name }) => leasesIn(view, name, now));
      const others = network && flat.length ? [] : await attached?.leases(network) ?? [];
      return { leases: [...leases, ...others] };
    },
    async Apply(request) {
      try {
        const objects = await new ApplyBoth(nex, overlays).apply(request);
        for (const network of request.dryRun ? [] : request.networks) {
          if (!network.overlay) warnOfOptions(networkFrom(network));
        }
        return { objects };
      } catch (error) {
        if (!request.everyRefusal || !(error instanceof Refusals)) throw error;
        return { refused: error.all.map(refusedTo) };
      }
    },
  };
}
