/** Keeps the rules by which VXLAN is taken only from the hosts of its network as etcd says, for all networks of this host. */
import { isUnsupported } from "../../../ffi/netlink_nftables.ts";
import { Mutex, repeat } from "../../common/async.ts";
import { OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { vtepElements, vtepStamp } from "../../overlay/vteps.ts";
import type { Context } from "../context.ts";
import { isNotThere, type VtepRules, VtepTable } from "../kernel/vtep_table.ts";
import type { Notifications } from "../kernel/notifications.ts";
import type { AdmittedNetwork, VtepsPart } from "../parts.ts";
import { unreadable } from "../reconcile/unreadable.ts";

/** How often the routes are read where the kernel looks up none for the rules, in ms. */
const ROUTES_EVERY = 1000;

/** A network's elements as they were computed, and the stamp of what they were computed from. */
interface Admitted {
  readonly stamp: string;
  readonly elements: ReadonlySet<string>;
}

export interface VtepsOptions {
  readonly underlay: {
    /** The name of the interface that has this host's VTEP. */
    readonly name: string;
    /** The names of those by which other hosts' packets may come. */
    readonly interfaces: ReadonlySet<string>;
    /** Reads them again. */
    check(): Promise<void>;
  };
  /** Reads a socket as soon as the kernel tells of a change by it. */
  readonly notifications: Pick<Notifications, "add">;
}

/**
 * The rules follow each network's worker: what is added is there before the worker has brought the network up to date, and what
 * goes is removed after it, when etcd has confirmed it. A failure concerns no network: the next check makes the table again.
 */
export class VtepAdmission implements VtepsPart {
  readonly table = new VtepTable();
  /** Why the rules are not as they should be; undefined: they are. */
  problem: string | undefined;
  readonly #networks = new Map<string, Admitted>();
  /** How many networks need each element. */
  readonly #needed = new Map<string, number>();
  /** How many networks drop VXLAN from other hosts. */
  #dropping = 0;
  /** The elements that the next write adds and removes, and that write. */
  #next = { add: new Set<string>(), remove: new Set<string>() };
  #writing: Promise<void> | undefined;
  readonly #mutex = new Mutex();
  readonly #once = new OncePerMinute();
  /** The rules that were made or found last; undefined: the kernel must be read first. */
  #made: VtepRules | undefined;
  /** Ends the look at what the kernel tells of changes; undefined while there is none. */
  #listening: { end(): void } | undefined;
  /** The elements of interfaces in the kernel. */
  #interfaces: ReadonlySet<string> = new Set();
  /** Reads the routes at intervals, where the kernel does not for the rules. */
  #endReading: (() => Promise<void>) | undefined;
  /** True once every network of this host is known: what is in the kernel beyond that is removed. */
  #knowsAll = false;

  constructor(private readonly context: () => Context, private readonly options: VtepsOptions) {}

  /** Lets what etcd says of a network in, since what a new host sends may arrive at once. Nothing is removed. */
  async widen({ id, unwanted, fault }: AdmittedNetwork): Promise<void> {
    if (unwanted || fault !== undefined) return;
    const { view } = this.context(), known = this.#networks.get(id);
    const stamp = vtepStamp(view, id, this.#host);
    if (known?.stamp === stamp && (this.#isMade || this.table.missing !== undefined)) return;
    const wanted = vtepElements(view, id, this.#host), before = known?.elements ?? new Set();
    const add = wanted.difference(before);
    // The empty stamp makes settle() look at the network again.
    this.#networks.set(id, { stamp: "", elements: before.union(wanted) });
    for (const element of add) this.#count(element, 1);
    await this.#write(add, new Set());
  }

  /**
   * Removes what etcd no longer says of a network, after etcd itself has confirmed it.
   * @throws what the guard throws
   */
  async settle(network: AdmittedNetwork, guard: { confirm(): Promise<void> }): Promise<void> {
    if (this.#goneOf(network)?.gone.size) await guard.confirm();
    // Meanwhile the network may have come back, with another worker.
    const found = this.#goneOf(network), { id } = network;
    if (!found) return;
    if (found.now) this.#networks.set(id, found.now);
    else this.#networks.delete(id);
    const remove = new Set<string>();
    for (const element of found.gone) if (!this.#count(element, -1)) remove.add(element);
    if (remove.size) await this.#write(new Set(), remove);
  }

  /** The elements of a network that are to be removed, and those that it has then; undefined: nothing is to be done. */
  #goneOf(
    { id, unwanted, fault }: AdmittedNetwork,
  ): { gone: ReadonlySet<string>; now?: Admitted } | undefined {
    const { view } = this.context(), known = this.#networks.get(id);
    if (!known || fault !== undefined) return undefined;
    if (unwanted) return { gone: known.elements };
    const stamp = vtepStamp(view, id, this.#host);
    // A record that cannot be read may be of a host.
    if (known.stamp === stamp || unreadable(this.context(), id)?.tables) return undefined;
    const wanted = vtepElements(view, id, this.#host), elements = known.elements.intersection(wanted);
    // Hosts that have come since then are let in by the next run, which the stamp causes.
    return {
      gone: known.elements.difference(wanted),
      now: { stamp: elements.size === wanted.size ? stamp : "", elements },
    };
  }

  /** @returns how many networks need the element now */
  #count(element: string, change: 1 | -1): number {
    const count = (this.#needed.get(element) ?? 0) + change;
    if (count) this.#needed.set(element, count);
    else this.#needed.delete(element);
    if (element.startsWith("drop ")) this.#dropping += change;
    return count;
  }

  /** Removes rules of networks that this host does not have; called once each of its networks has been compared. */
  async start(): Promise<void> {
    this.#knowsAll = true;
    await this.check();
  }

  /** Follows changes of the rules from now on; the comparison finds those that were made before. */
  #follow(): void {
    if (this.#listening || !this.#knowsAll) return;
    try {
      const fd = this.table.watch();
      if (fd === undefined) return;
      this.#listening = this.options.notifications.add({
        fd,
        // Another program has changed the rules, as `nft flush ruleset` does.
        take: () => this.table.isForeign() && void this.check(),
      });
    } catch (error) {
      // The code that makes the rules reports a kernel without nf_tables. Else the periodic check finds changes, and tries again.
      if (!isUnsupported(error) && this.#once.due("watch")) {
        this.context().log.warn(`changes of the rules for VXLAN are not seen at once: ${messageOf(error)}`);
      }
    }
  }

  /** Compares the kernel, and repairs what other programs have changed. */
  async check(): Promise<void> {
    this.#follow();
    if (!this.context().storeGuard.hold) {
      await this.#mutex.run(() => this.#attempt(() => this.#compare(true)));
    }
  }

  /** Has the rules know the interfaces by which other hosts' packets may come, after these have changed. */
  async followInterfaces(): Promise<void> {
    if (this.#isMade) await this.check();
  }

  /** @see {@link VtepTable.admits} */
  admits(vni: number, vtep: string): Promise<boolean | undefined> {
    return this.#mutex.run(() => this.table.admits(vni, vtep));
  }

  async close(): Promise<void> {
    await this.#endReading?.();
    this.#listening?.end();
    this.table.close();
  }

  get #host() {
    const { hostname, ip } = this.context().host;
    return { hostname, vtep: ip.u32 };
  }

  /** The rules that the kernel should have. */
  get #rules(): VtepRules {
    const { host, kernel } = this.context();
    return {
      vtep: host.ip,
      underlay: this.options.underlay.name,
      drops: this.#dropping > 0,
      areTold: kernel.containment.missing === undefined,
    };
  }

  get #wantedInterfaces(): Set<string> {
    return new Set([...this.options.underlay.interfaces].map((name) => `interface ${name}`));
  }

  /** Writes changes of the sets. Changes that come at the same time share a batch. */
  #write(add: ReadonlySet<string>, remove: ReadonlySet<string>): Promise<void> {
    const next = this.#next;
    for (const element of add) next.remove.delete(element) || next.add.add(element);
    for (const element of remove) next.add.delete(element) || next.remove.add(element);
    return this.#writing ??= this.#mutex.run(async () => {
      const { add, remove } = this.#next;
      this.#next = { add: new Set(), remove: new Set() };
      this.#writing = undefined;
      await this.#attempt(async () => {
        if (!this.#isMade) return await this.#compare(false);
        await this.table.change(add, remove).catch((error) => {
          if (!isNotThere(error)) throw error;
          return this.#compare(true);
        });
      });
    });
  }

  get #isMade(): boolean {
    const made = this.#made, rules = this.#rules;
    return made !== undefined && made.vtep.equals(rules.vtep) && made.underlay === rules.underlay &&
      made.drops === rules.drops && made.areTold === rules.areTold;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.table.missing !== undefined) return;
    const { log } = this.context();
    try {
      await work();
      this.problem = undefined;
    } catch (error) {
      this.#made = undefined;
      this.problem = messageOf(error);
      if (this.#once.due("problem")) {
        log.warn(`the rules for VXLAN are not as they should be, and are made again later: ${this.problem}`);
      }
    }
    const { missing } = this.table;
    if (missing !== undefined) {
      log.warn(`VXLAN is taken from any host, since this host's kernel has no nf_tables: ${missing}`);
    }
  }

  /** @param tells True: what differs was changed by another program. */
  async #compare(tells: boolean): Promise<void> {
    const rules = this.#rules, interfaces = this.#wantedInterfaces, isNeeded = this.#needed.size > 0;
    const wanted = new Set(this.#needed.keys()).union(interfaces);
    const wasMade = this.#isMade && this.#interfaces.symmetricDifference(interfaces).size === 0;
    const found = await this.table.read(rules);
    const add = wanted.difference(found?.elements ?? new Set());
    const remove = this.#knowsAll && found ? found.elements.difference(wanted) : new Set<string>();
    const isSound = found?.isSound === true;
    if (!isNeeded && this.#knowsAll) {
      if (found) await this.table.remove();
      this.#made = undefined;
      return;
    }
    if (!isSound) await this.table.make(rules, wanted, found !== undefined);
    else if (add.size || remove.size) await this.table.change(add, remove);
    this.#made = rules;
    this.#interfaces = interfaces;
    if (this.table.lacksRoutes) {
      // The rules depend on these interfaces alone, and not every change of a route is told.
      this.#endReading ??= repeat(() => ROUTES_EVERY, () => this.options.underlay.check());
    }
    // What the agent itself has not written yet is no other program's change.
    const own = this.#next;
    if (!tells || !wasMade || (isSound && add.isSubsetOf(own.add) && remove.isSubsetOf(own.remove))) return;
    const { counters, log } = this.context();
    counters.drifted++;
    counters.drift.inc({ op: "vxlan-rules" });
    counters.repaired("", new Map([["vxlan-rules", 1]]));
    log.warn("the rules for VXLAN were changed on this host by other programs, and are repaired");
  }
}
