/** Applies a spec of networks with and without an overlay: each kind is planned in its own store of keys, and the spec in one. */
import type { ApplyRequest } from "../../proto/types.ts";
import { invalid } from "../common/refusal.ts";
import { type Applied, applySpec } from "../nex/apply.ts";
import type { Nex } from "../nex/nex.ts";
import type { Draft } from "../nex/steps.ts";
import { listFrom, namedFrom, networkFrom } from "./convert.ts";
import type { NamedNetworks, NamedResult, NamedSpec } from "./named_networks.ts";

/** Applies specs. Each part is planned before any of it is written, so that one that is refused refuses all. */
export class ApplyBoth {
  constructor(private readonly nex: Nex, private readonly overlays: NamedNetworks | undefined) {}

  /**
   * @param options.update False: a network that exists with other contents is refused.
   * @returns what becomes of each object: networks in their order, then members in theirs
   */
  async apply(
    { networks, members, dryRun }: Pick<ApplyRequest, "networks" | "members" | "dryRun">,
    options: { readonly update?: boolean } = {},
  ): Promise<Applied[]> {
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
    // What is only told meets no guards of a transaction.
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
    let flat: Applied[] = [];
    if (dryRun || specs.size) {
      flat = await nex.find(() => plan(nex.draft()));
      const rehearsed = await overlays?.rehearse([...specs.values()]) ?? [];
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

/** What became of the objects of both kinds, in the order of the spec. */
function inOrder(
  networks: readonly (string | undefined)[],
  members: ApplyRequest["members"],
  isOverlay: ReadonlyMap<string, boolean>,
  flat: readonly Applied[],
  results: ReadonlyMap<string, NamedResult>,
): Applied[] {
  const rest = [...flat], next = new Map<string, number>();
  const ofNetworks = networks.flatMap((name) => {
    const action = name === undefined ? undefined : results.get(name)?.action;
    return name === undefined
      ? rest.splice(0, 1)
      : { kind: "Network" as const, name, action: action ?? "unchanged" };
  });
  const ofMembers = members.flatMap(({ net, list }) => {
    if (!isOverlay.get(net)) return rest.splice(0, list.length);
    const i = next.get(net) ?? 0;
    next.set(net, i + 1);
    const found = results.get(net)?.members[i] ?? [];
    return found.map(({ name, action }) => ({ kind: "Member" as const, name, action }));
  });
  return [...ofNetworks, ...ofMembers];
}
