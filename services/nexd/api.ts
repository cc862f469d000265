/** The methods of the gRPC API as functions from request to response, without gRPC. */
import type { NexMethods, Sent } from "../../proto/types.ts";
import { invalid } from "../common/refusal.ts";
import { applySpec } from "../nex/apply.ts";
import { changeMemberIds } from "../nex/change_mac.ts";
import { heldIn } from "../nex/held.ts";
import { addMembers, deleteMembers, updateMembers } from "../nex/members.ts";
import { addNetwork, deleteNetwork, findNetwork, replaceNetwork } from "../nex/networks.ts";
import type { Nex } from "../nex/nex.ts";
import { declinedIn, deleteDeclined } from "../nex/quarantine.ts";
import type { Draft } from "../nex/steps.ts";
import {
  declinedTo,
  heldTo,
  listFrom,
  memberFrom,
  memberTo,
  networkFrom,
  networkTo,
  updatedNetwork,
  updateFrom,
} from "./convert.ts";

/** Each method as a function; all of them answer from the mirror, which shows their own writes. */
export type NexApi = {
  [M in keyof NexMethods]: (
    request: NexMethods[M][0],
  ) => Promise<Sent<NexMethods[M][1]>> | Sent<NexMethods[M][1]>;
};

/**
 * The API over one store. Its functions throw {@link Refusal} for an invalid request, or one that cannot be fulfilled.
 * @param warn Called with a sentence where a request was fulfilled that may not be what the operator meant
 */
export function nexApi(nex: Nex, warn: (what: string) => void = () => {}): NexApi {
  const { view } = nex;
  const done = {};
  return {
    GetNetworks: () => ({ nets: [...view.networks()].map((n) => n.name).sort() }),
    GetNetwork: ({ name }) => ({ net: networkTo(findNetwork(view, name)) }),
    GetMembers: ({ network }) => {
      const { name } = findNetwork(view, network);
      return {
        members: view.membersOf(name).map((member) => memberTo(member, name)),
        held: heldIn(view, name).map(heldTo),
      };
    },
    GetDeclined: ({ network }) => ({
      declined: declinedIn(view, network ? findNetwork(view, network).name : undefined).map(declinedTo),
    }),
    async DeleteDeclined({ network, list }) {
      await nex.change((draft) => deleteDeclined(draft, network, list));
      return done;
    },
    async AddNetwork({ network }) {
      if (!network) throw invalid("network: missing");
      const { name } = network;
      const asked = networkFrom(network);
      if (view.deleted.has(name)) await nex.sweepNetwork(name);
      await nex.change((draft) => addNetwork(draft, asked));
      return done;
    },
    async UpdateNetwork(update) {
      await nex.change((draft) => {
        const before = findNetwork(draft, update.name);
        return replaceNetwork(draft, before, updatedNetwork(before.record, update));
      });
      return done;
    },
    async DeleteNetwork({ name }) {
      await nex.change((draft) => deleteNetwork(draft, name));
      await nex.sweepNetwork(name);
      return done;
    },
    async AddMembers({ net, list, force }) {
      // Nex's own client does not know the field that says whether a name is shared.
      const asked = list.map(memberFrom).map((m) => ({ ...m, shared: m.shared || undefined }));
      const shared = await nex.change((draft) => {
        const told: string[] = [];
        addMembers(draft, net, asked, { force, onShared: (what) => told.push(what) });
        return told;
      });
      for (const what of shared) warn(what);
      return done;
    },
    async UpdateMembers({ net, list, force }) {
      const asked = list.map(updateFrom);
      await nex.change((draft) => updateMembers(draft, net, asked, { force }));
      return done;
    },
    async DeleteMembers({ network, list, force }) {
      await nex.change((draft) => deleteMembers(draft, network, list, { force }));
      return done;
    },
    async ChangeMemberID({ net, list }) {
      await nex.change((draft) => changeMemberIds(draft, net, list));
      return done;
    },
    async Apply({ networks, members, dryRun }) {
      const plan = (draft: Draft) => applySpec(draft, networks.map(networkFrom), members.map(listFrom));
      if (dryRun) return { objects: plan(nex.draft()) };
      for (const { name } of networks) if (view.deleted.has(name)) await nex.sweepNetwork(name);
      return { objects: await nex.change(plan) };
    },
  };
}
