/** The named overlay networks as nexd changes and shows them. The mirror follows a network while a request is about it. */
import { Refusal } from "../common/refusal.ts";
import type { Action } from "../nex/networks.ts";
import { RefusedObjects } from "../nex/refused_objects.ts";
import { Attempts } from "../nex/steps.ts";
import type { NewNetworkOptions } from "../overlay/networks.ts";
import type { OverlayView } from "../overlay/view.ts";
import type { NamedNetwork } from "../overlay_names/effective.ts";
import { planDeleteNamed, planNamesLeft } from "../overlay_names/delete_network.ts";
import { findNamed, namedNetwork, type NamedRequest, planNamed } from "../overlay_names/networks.ts";
import { ReservationDraft, type ReservationList, type Reserved } from "../overlay_names/reservations.ts";
import { change, confirm, confirmedRead } from "../store/change.ts";
import type { ChangeStore } from "../store/change_store.ts";
import { pack } from "../store/plan_builder.ts";
import type { ReservationRecord, SandRecord } from "../store/sand_records.ts";
import type { SandStore } from "../store/sand_store.ts";
import type { Plan } from "../store/types.ts";

/** The settings of new overlay networks, as the agents' configuration has them. */
export type NewNetworks = Pick<NewNetworkOptions, "namespacePath" | "minVni" | "maxVni" | "vxlanPort">;

export interface NamedNetworksOptions extends NewNetworks {
  /** The time in RFC 3339 with nanoseconds, different with each call. */
  readonly timestamp: () => string;
  /** True where a network without an overlay has the name. */
  readonly isFlat: (name: string) => boolean;
}

/** A named network in a spec: its settings, where the spec has them, and the lists of its members. */
export interface NamedSpec {
  readonly name: string;
  readonly request: NamedRequest | undefined;
  readonly lists: readonly ReservationList[];
}

/** The outcome of a spec for a named network. */
export interface NamedResult {
  /** Undefined: the spec only has members of it. */
  readonly action: Action | undefined;
  /** The network as it was, and as it is now. */
  readonly before: NamedNetwork | undefined;
  readonly after: NamedNetwork;
  /** By list. */
  readonly members: readonly (readonly ReservedNow[])[];
}

/** The outcome for a member, with its record as it was and as it is now. */
export interface ReservedNow extends Reserved {
  readonly before: ReservationRecord | undefined;
  readonly after: ReservationRecord | undefined;
}

/** Holding a network that is not there any more under a name is tried again this often. */
const TRIES = 3;

/** The named networks of one store. */
export class NamedNetworks {
  constructor(
    private readonly store: ChangeStore<SandRecord>,
    private readonly hold: SandStore["holdAll"],
    readonly view: OverlayView,
    private readonly options: NamedNetworksOptions,
  ) {}

  /** The names of all networks that are there, sorted. */
  names(): string[] {
    return [...this.view.networkNames().keys()].filter((name) => this.has(name)).sort();
  }

  has(name: string): boolean {
    return namedNetwork(this.view, name) !== undefined;
  }

  /** Like {@link has}, after a question to etcd. Throws Refusal "unavailable". */
  async knows(name: string): Promise<boolean> {
    if (this.has(name)) return true;
    await confirm(this.store);
    return this.has(name);
  }

  /** Calls `read` while the network is followed. Throws Refusal "not-found", "unavailable". */
  read<T>(name: string, read: (named: NamedNetwork) => T): Promise<T> {
    return this.#holding([name], new Map(), () => Promise.resolve(read(findNamed(this.view, name))));
  }

  /** Calls `read` for each network that is there, while all are followed. */
  readAll<T>(read: (named: NamedNetwork) => T): Promise<T[]> {
    const names = this.names();
    return this.#holding(
      names,
      new Map(),
      () => Promise.resolve(names.flatMap((name) => this.has(name) ? read(findNamed(this.view, name)) : [])),
    );
  }

  /** Commits plans for one network, and plans again after a conflict; `plan` gets the results of all attempts. */
  change<T>(name: string, plan: (attempts: Attempts) => { result: T; plans: readonly Plan[] }): Promise<T> {
    return this.#change(name, new Map(), plan);
  }

  /** Plans changes of members of a network that is there, and commits them. */
  members<T>(name: string, act: (draft: ReservationDraft) => T): Promise<T> {
    return this.change(name, (attempts) => {
      const draft = new ReservationDraft(this.view, findNamed(this.view, name), Date.now(), attempts);
      const result = act(draft);
      return { result, plans: draft.plans() };
    });
  }

  /** Deletes a network with its members. */
  async delete(name: string): Promise<void> {
    const now = this.options.timestamp(), found = new Set<string>();
    await this.change(
      name,
      () => ({ result: undefined, plans: planDeleteNamed(this.view, name, now, found) }),
    );
  }

  /** Removes what networks of these names that are gone have left. */
  async sweep(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      if (this.view.networkNamed(name) === undefined || this.has(name)) continue;
      await this.change(name, () => ({ result: undefined, plans: planNamesLeft(this.view, name) }));
    }
  }

  /** Computes what a spec would change; nothing is written. Throws what {@link apply} throws before it writes. */
  async rehearse(specs: readonly NamedSpec[]): Promise<NamedResult[]> {
    const ids = this.#newIds(specs);
    return await this.#holding(specs.map(({ name }) => name), ids, () =>
      confirmedRead(this.store, () => {
        const refused = new RefusedObjects();
        const results = specs.flatMap((spec) => {
          const plan = () =>
            this.#plan(spec, ids.get(spec.name) ?? "", this.options.timestamp(), new Attempts());
          return refused.attempt({ kind: "Network", net: spec.name }, plan)?.result ?? [];
        });
        refused.refuse();
        return results;
      }));
  }

  /** Makes one network and its members what a spec says. */
  apply(spec: NamedSpec): Promise<NamedResult> {
    const ids = this.#newIds([spec]), now = this.options.timestamp();
    return this.#change(
      spec.name,
      ids,
      (attempts) => this.#plan(spec, ids.get(spec.name) ?? "", now, attempts),
    );
  }

  #newIds(specs: readonly NamedSpec[]): Map<string, string> {
    return new Map(
      specs.map(({ name, request }) => [name, request?.id?.toLowerCase() || crypto.randomUUID()]),
    );
  }

  #plan({ name, request, lists }: NamedSpec, newId: string, now: string, attempts: Attempts) {
    const { view } = this, refused = new RefusedObjects(), kind = request ? "Network" : "MemberList";
    const found = refused.attempt({ kind, net: name }, () => {
      if (request && !this.has(name) && this.options.isFlat(name)) {
        throw new Refusal(
          "exists",
          `network ${name}: overlay: the network of this name has none, and cannot get one`,
        );
      }
      const planned = request && planNamed(view, request, { ...this.options, newId, now });
      return { planned, named: planned?.named ?? findNamed(view, name) };
    });
    if (!found) throw refused.refusal();
    const { planned, named } = found;
    const plans: Plan[] = planned?.plan ? [planned.plan] : [];
    let members: ReservedNow[][] = [];
    if (lists.length) {
      const draft = new ReservationDraft(view, named, Date.parse(now), attempts);
      const { reservations } = view.space(named.record.id);
      members = draft.add(lists, refused.attempt).map((list) =>
        list.map((one) => ({
          ...one,
          before: reservations.get(one.mac),
          after: draft.reservation(one.mac),
        }))
      );
      refused.refuse();
      plans.push(...draft.plans());
    }
    const result: NamedResult = {
      action: planned && attempts.action(`Network ${name}`, planned.action),
      before: namedNetwork(view, name),
      after: named,
      members: members.map((list) =>
        list.map((member) => ({
          ...member,
          action: attempts.action(`Member ${name} ${member.mac}`, member.action),
        }))
      ),
    };
    return { result, plans: pack(plans) };
  }

  #change<T>(
    name: string,
    newIds: ReadonlyMap<string, string>,
    plan: (attempts: Attempts) => { result: T; plans: readonly Plan[] },
  ): Promise<T> {
    const attempts = new Attempts();
    return this.#holding([name], newIds, async (assertHeld) => {
      let result: T | undefined;
      await change(this.store, () => {
        assertHeld();
        const planned = plan(attempts);
        result = planned.result;
        return planned.plans;
      });
      return result as T;
    });
  }

  /**
   * Follows the networks of these names meanwhile.
   *
   * @param newIds The ids of those that are made or adopted by this.
   */
  async #holding<T>(
    names: readonly string[],
    newIds: ReadonlyMap<string, string>,
    act: (assertHeld: () => void) => Promise<T>,
  ): Promise<T> {
    const ids = () => names.flatMap((name) => this.view.networkNamed(name) ?? newIds.get(name) ?? []);
    for (let tries = 1;; tries++) {
      const held = new Set(ids());
      const release = held.size ? await this.hold([...held]) : () => {};
      try {
        return await act(() => {
          if (!ids().every((id) => held.has(id))) throw new OtherNetwork();
        });
      } catch (error) {
        if (!(error instanceof OtherNetwork)) throw error;
        if (tries >= TRIES) {
          throw new Refusal("conflict", `network ${names.join(", ")} is being changed by others: try again`);
        }
      } finally {
        release();
      }
    }
  }
}

/** A name stands for another network than when it was looked up. */
class OtherNetwork extends Error {}
