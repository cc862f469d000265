/** Applies a spec of networks with and without an overlay: each kind is planned in its own store of keys, and the spec in one. */
import type { AppliedObject, ApplyRequest, MessageInput } from "../../proto/types.ts";
import { parseMac } from "../common/mac.ts";
import { invalid } from "../common/refusal.ts";
import { type Applied, applySpec, type MemberListRequest } from "../nex/apply.ts";
import type { Nex } from "../nex/nex.ts";
import type { NexState } from "../nex/nex_state.ts";
import { RefusedObjects } from "../nex/refused_objects.ts";
import type { Draft } from "../nex/steps.ts";
import { memberChanges, networkChanges } from "./changes.ts";
import { listFrom, memberTo, namedFrom, namedMemberTo, namedTo, networkFrom, networkTo } from "./convert.ts";
import type { NamedNetworks, NamedResult, NamedSpec } from "./named_networks.ts";

/** Applies specs. All parts are planned before any is written, so that one refused object refuses the whole spec. */
export class ApplyBoth {
  constructor(private readonly nex: Nex, private readonly overlays: NamedNetworks | undefined) {}

  /**
   * @param options.update False: a network that exists with other contents is refused.
   * @returns what becomes of each object: networks in their order, then members in theirs; of a dry run, field by field, and with
   *   the members that would change without being in the spec, last
   */
  async apply(
    { networks, members, dryRun }: Pick<ApplyRequest, "networks" | "members" | "dryRun">,
    options: { readonly update?: boolean } = {},
  ): Promise<MessageInput<AppliedObject>[]> {
    const { nex, overlays } = this;
    const specs = new Map<string, { -readonly [K in keyof NamedSpec]: NamedSpec[K] }>();
    const specOf = (name: string) => {
      let spec = specs.get(name);
      if (!spec) specs.set(name, spec = { name, request: undefined, lists: [] });
      return spec;
    };
    const flatNetworks = networks.filter((network) => !network.overlay);
    for (const network of networks) {
      if (!network.overlay) continue;
      if (!overlays) throw invalid(`network ${network.name}: overlay: this server has no overlay networks`);
      const spec = specOf(network.name);
      if (spec.request || flatNetworks.some(({ name }) => name === network.name)) {
        throw invalid(`network ${network.name} is in the request twice`);
      }
      spec.request = { ...namedFrom(network), ...options };
    }
    // A dry run's answer meets no guards of a transaction.
    if (dryRun) await nex.confirm();
    const isOverlay = new Map<string, boolean>();
    for (const { net } of members) isOverlay.set(net, await this.#hasOverlay(net, specs, flatNetworks));
    const flatLists = members.filter(({ net }) => !isOverlay.get(net)).map(listFrom);
    for (const list of members) {
      if (!isOverlay.get(list.net)) continue;
      const spec = specOf(list.net);
      spec.lists = [...spec.lists, listFrom(list)];
    }

    const plan = (draft: Draft) => applySpec(draft, flatNetworks.map(networkFrom), flatLists);
    if (!dryRun) {
      await overlays?.sweep(specs.keys());
      for (const { name } of flatNetworks) if (nex.view.deleted.has(name)) await nex.sweepNetwork(name);
    }
    const results = new Map<string, NamedResult>();
    let flat: MessageInput<AppliedObject>[] = [];
    if (dryRun || specs.size) {
      const refused = new RefusedObjects();
      flat = await refused.part(() =>
        nex.find(() => {
          const draft = nex.draft(), applied = plan(draft);
          return dryRun ? withChanges(applied, nex.view, draft, flatLists) : applied;
        })
      ) ?? [];
      const rehearsed = await refused.part(async () => await overlays?.rehearse([...specs.values()])) ?? [];
      refused.refuse();
      [...specs.keys()].forEach((name, i) => rehearsed[i] && results.set(name, rehearsed[i]));
    }
    if (!dryRun) {
      if (flatNetworks.length || flatLists.length) flat = await nex.change(plan);
      for (const spec of specs.values()) if (overlays) results.set(spec.name, await overlays.apply(spec));
    }
    return inOrder(
      networks.map(({ name, overlay }) => overlay ? name : undefined),
      members,
      isOverlay,
      flat,
      results,
      dryRun,
    );
  }

  async #hasOverlay(
    net: string,
    specs: ReadonlyMap<string, unknown>,
    flatNetworks: readonly { readonly name: string }[],
  ): Promise<boolean> {
    if (specs.has(net)) return true;
    if (flatNetworks.some(({ name }) => name === net) || this.nex.view.network(net)) return false;
    return await this.overlays?.knows(net) ?? false;
  }
}

/** The outcomes for objects of both kinds, in the order of the spec. */
function inOrder(
  networks: readonly (string | undefined)[],
  members: ApplyRequest["members"],
  isOverlay: ReadonlyMap<string, boolean>,
  flat: readonly MessageInput<AppliedObject>[],
  results: ReadonlyMap<string, NamedResult>,
  dryRun: boolean,
): MessageInput<AppliedObject>[] {
  const rest = [...flat], next = new Map<string, number>();
  const ofNetworks = networks.flatMap((name) => {
    if (name === undefined) return rest.splice(0, 1);
    const result = results.get(name), action = result?.action ?? "unchanged";
    if (!result || !dryRun || action === "unchanged") return { kind: "Network", name, action };
    const { before, after } = result;
    return {
      kind: "Network",
      name,
      action,
      changes: networkChanges(before && namedTo(before), namedTo(after)),
    };
  });
  const ofMembers = members.flatMap(({ net, list }) => {
    if (!isOverlay.get(net)) return rest.splice(0, list.length);
    const i = next.get(net) ?? 0;
    next.set(net, i + 1);
    const found = results.get(net)?.members[i] ?? [];
    return found.map(({ name, mac, action, before, after }) => ({
      kind: "Member",
      name,
      action,
      ...dryRun && {
        net,
        mac,
        changes: action === "unchanged" || !after
          ? []
          : memberChanges(before && namedMemberTo(before, net), namedMemberTo(after, net)),
      },
    }));
  });
  return [...ofNetworks, ...ofMembers, ...rest];
}

/** The answer of a dry run about objects without an overlay, with the fields that would change. */
function withChanges(
  applied: readonly Applied[],
  view: NexState,
  draft: Draft,
  lists: readonly MemberListRequest[],
): MessageInput<AppliedObject>[] {
  const requested = lists.flatMap(({ net, list }) => list.map(({ mac }) => ({ net, mac: parseMac(mac) })));
  const next = requested.values();
  const named = applied.map((object) => {
    const { kind, name, action } = object, isSame = action === "unchanged";
    if (kind === "Network") {
      const before = view.network(name), after = draft.network(name);
      const changes = isSame || !after ? [] : networkChanges(before && networkTo(before), networkTo(after));
      return { ...object, changes };
    }
    const { net = "", mac = "" } = next.next().value ?? {};
    // A client that becomes a member has its fields by its lease alone.
    const before = action === "created" ? undefined : view.member(mac, net), after = draft.member(mac, net);
    const changes = isSame || !after
      ? []
      : memberChanges(before && memberTo(before, net), memberTo(after, net));
    return { ...object, net, mac, changes };
  });
  return [...named, ...othersIn(draft, new Set(requested.map(({ net, mac }) => `${net} ${mac}`)))];
}

/** Members that change without being asked for: clients that only asked for a name, which a member is given now. */
function othersIn(draft: Draft, requested: ReadonlySet<string>): MessageInput<AppliedObject>[] {
  return [...draft.changedMembers()].flatMap(({ before, after }) => {
    const { mac } = before, net = draft.netOf(before);
    if (!after || net === undefined || requested.has(`${net} ${mac}`)) return [];
    const changes = memberChanges(memberTo(before, net), memberTo(after, net));
    // A network's new domain renames all its members, and is shown as the network's change.
    if (changes.every(({ field, after }) => field === "name" && after)) return [];
    return { kind: "Member", name: after.name ?? mac, action: "updated", net, mac, changes };
  });
}
