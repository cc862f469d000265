/**
 * Sets up on the host what networks with egress need: a transfer address for each network, the rules of
 * host_rules.ts, and IP forwarding. All of it follows from the uplinks that the kernel has, so that it is repaired
 * after any crash, and after another program has removed it.
 */
import { commit, deleteTable, hasTable, isUnsupported, openNftables } from "../../../ffi/netlink_nftables.ts";
import { readCounters } from "../../../ffi/nftables_counters.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { findRoute, listRoutes } from "../../../ffi/netlink_address.ts";
import { listLinks } from "../../../ffi/netlink_links.ts";
import { home } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import { Mutex, repeat } from "../../common/async.ts";
import { writeDurably } from "../../common/durable_file.ts";
import { fnv1a } from "../../common/hash.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import type { Log } from "../../common/log.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { bootId } from "../context.ts";
import type { EgressPart } from "../parts.ts";
import { failpoint } from "../failpoints.ts";
import { EGRESS_TABLE, isTableOf, tableOf } from "../kernel/egress.ts";
import { allowInDocker, type DroppingChain, droppingChains, forgetInDocker } from "./forward_policy.ts";
import { type ControlPlane, COUNTERS, hostChains, UPLINKS } from "./host_rules.ts";
import { LostPackets } from "./lost_packets.ts";

/** How often it is looked at whether another program has removed the rules, in ms. */
const EVERY = 5000;
/** How long what was found right is taken to be so, in ms: many networks are compared at once. */
const FRESH = 1000;
const FORWARDING = "net/ipv4/ip_forward";

export interface HostEgressOptions {
  /** The range of transfer addresses, for one network each. */
  readonly pool: Cidr;
  /** The UDP ports of VXLAN in this cluster. */
  readonly vxlanPorts: () => ReadonlySet<number>;
  /** The ports that machines may not reach; undefined: none. */
  readonly control: ControlPlane | undefined;
  /** The path of the file that remembers that forwarding was switched on by this agent. */
  readonly file: string;
  /** True: Docker's chain for rules of the user is made to let the networks' packets pass. */
  readonly docker: boolean;
  /** True while nothing may be changed. */
  readonly isHeld: () => boolean;
  readonly log: Log;
}

/** The transfer addresses and rules of this host, which are checked at intervals. */
export class HostEgress implements EgressPart {
  /** Transfer addresses by network, of those that were compared since the agent started. */
  readonly #transfers = new Map<string, string>();
  /** The networks that had, or were about to get, an uplink without one while this agent guards the host's forwarding. */
  readonly #guarded = new Set<string>();
  readonly #mutex = new Mutex();
  #end: (() => Promise<void>) | undefined;
  #failure: string | undefined;
  #blockers: readonly DroppingChain[] = [];
  /** The packets that networks send to the world and other programs' rules drop on this host. */
  readonly packets = new LostPackets();
  #guards = false;
  /** The inputs of the rules that were created or found last. */
  #made: string | undefined;
  /** When all was right last, by performance.now(). */
  #rightAt = -Infinity;
  /** True while nothing is needed, and nothing is left. */
  #isIdle = false;

  constructor(private readonly options: HostEgressOptions) {}

  /** Why packets of networks may not be forwarded; empty where nothing is known. */
  get blockers(): readonly DroppingChain[] {
    return this.#blockers;
  }

  /** Why the host's rules could not be brought up to date; undefined: they were. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** True while this host forwards for networks alone. */
  get guards(): boolean {
    return this.#guards;
  }

  /** Starts the repeated check of the rules; an earlier agent may have left some that are not needed any more. */
  start(): void {
    this.#end = repeat((runs) => runs ? EVERY : 0, () => this.check());
  }

  async close(): Promise<void> {
    await this.#end?.();
    await this.#mutex.run(() => Promise.resolve());
  }

  /**
   * The transfer address of a network on this host: its present one, or a free one of the pool.
   * @param range The network's own.
   * @throws Refusal "exhausted" when the pool has none
   */
  transferOf(network: string, range: Cidr, current: string | undefined): Promise<string> {
    return this.#mutex.run(async () => {
      const { pool } = this.options, others = new Set(this.#transfers.values());
      const mine = this.#transfers.get(network) ?? current;
      const known = mine === undefined ? undefined : Ip.tryParse(mine);
      const isTaken = this.#transfers.get(network) === undefined && others.has(mine ?? "");
      if (mine !== undefined && known && pool.contains(known) && !range.contains(known) && !isTaken) {
        this.#transfers.set(network, mine);
        return mine;
      }
      this.#transfers.delete(network);
      using netlink = new Netlink(home);
      const size = Number(pool.size), first = pool.first.u32;
      for (let i = 0, at = fnv1a(network) % size; i < size; i++, at = (at + 1) % size) {
        const address = Ip.from4(first + at), text = address.toString();
        if (others.has(text) || range.contains(address) || pool.reserved(address)) continue;
        const way = await findRoute(netlink, address.bytes);
        // A route that is wider than the pool was there when the pool was chosen: an interface's link-local one.
        if (way?.own || (way && way.prefix > pool.prefix)) continue;
        this.#transfers.set(network, text);
        return text;
      }
      const message = `agent.transfer-subnet: ${pool} has no free address for egress: name a larger one`;
      throw new Refusal("exhausted", message);
    });
  }

  /** Has the host ready for uplinks with a transfer address. @throws Refusal where the kernel cannot do it */
  prepare(): Promise<void> {
    return this.#mutex.run(async () => {
      this.#isIdle = false;
      if (performance.now() - this.#rightAt > FRESH) await this.#ensure(true);
    });
  }

  /** Guards the host's forwarding before an uplink has it switched on; a kernel without nf_tables does not hinder that. */
  prepareForwarding(network: string): Promise<void> {
    return this.#mutex.run(async () => {
      const wasGuarding = this.#readGuards();
      if (!wasGuarding && isForwarding()) return;
      try {
        this.#isIdle = false;
        this.#guarded.add(network);
        await this.#ensure(false);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.#guarded.delete(network);
        this.#guards = wasGuarding;
        if (!wasGuarding) Deno.removeSync(this.options.file);
        this.options.log.warn(`the host forwards whatever comes from now on: ${error.message}`);
      }
    });
  }

  /** Says that a network has no transfer address any more; with the last uplink, the host's rules go. */
  async release(network: string, hasUplink: boolean): Promise<void> {
    const isLess = !hasUplink && this.#guarded.delete(network);
    if (this.#transfers.delete(network) || isLess) await this.check();
  }

  /** Brings the host's rules and its forwarding to what its uplinks need. */
  check(): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.options.isHeld() || (this.#isIdle && !this.#transfers.size && !this.#guarded.size)) return;
      try {
        const { uplinks, transfers } = await this.#uplinks();
        const guards = this.#readGuards(), hasEgress = this.#transfers.size > 0 || transfers > 0;
        const isGuarded = guards && (uplinks > 0 || this.#guarded.size > 0);
        if (hasEgress || isGuarded) await this.#ensure(hasEgress);
        else await this.#undo(guards);
        this.#failure = undefined;
      } catch (error) {
        const message = messageOf(error);
        if (this.#failure !== message) {
          this.options.log.warn(`the host's rules for egress cannot be set: ${message}`);
        }
        this.#failure = message;
      }
    });
  }

  /** How many uplinks of networks there are, and how many of these have a transfer address. */
  async #uplinks(): Promise<{ uplinks: number; transfers: number }> {
    using netlink = new Netlink(home);
    const links = (await listLinks(netlink)).filter(({ name, kind }) =>
      kind === "veth" && name.startsWith(UPLINKS)
    );
    const indexes = new Set(links.map(({ index }) => index));
    const transfers = (await listRoutes(netlink)).filter(({ link, destination, prefix }) =>
      indexes.has(link) && prefix === 32 && this.options.pool.contains(new Ip(4, destination))
    );
    return { uplinks: links.length, transfers: transfers.length };
  }

  /** @param hasEgress True: a network has a transfer address, and its packets have to pass other programs' chains, too. */
  async #ensure(hasEgress: boolean): Promise<void> {
    const { options: { pool, vxlanPorts, control, file, docker, log } } = this;
    const isOn = isForwarding();
    let guards = this.#readGuards();
    if (!isOn && !guards) {
      writeDurably(file, `${bootId()}\n`);
      failpoint("egress:remembered");
      guards = true;
    }
    this.#guards = guards;
    const wanted = { pool, vxlanPorts: [...vxlanPorts()].sort((a, b) => a - b), control, guards };
    const chains = hostChains(wanted), made = JSON.stringify(wanted), wasRight = this.#made === made;
    try {
      using netlink = openNftables(home);
      const isRight = await isTableOf(netlink, chains);
      if (!isRight) await commit(netlink, tableOf(chains, isRight !== undefined, COUNTERS));
      this.packets.take(await readCounters(netlink, EGRESS_TABLE), performance.now());
      this.#made = made;
      if (!isRight && wasRight) {
        log.warn("the host's rules for egress were changed by another program, and are repaired");
      }
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      const message = `egress: this host's kernel has no nf_tables that could do it (${error.message}): ` +
        "load or build nf_tables with NFT_CT, NFT_NAT and NFT_MASQ";
      throw new Refusal("forbidden", message, { cause: error });
    }
    failpoint("egress:ruled");
    // The rules are there first, so that at no time anything else is forwarded.
    if (!isOn) setSysctl(FORWARDING, "1");
    failpoint("egress:forwarding");
    using netlink = openNftables(home);
    if (docker && hasEgress) await allowInDocker(netlink);
    this.#blockers = hasEgress ? await droppingChains(netlink) : [];
    // What was done for CNI alone is not all that egress needs.
    this.#rightAt = hasEgress ? performance.now() : -Infinity;
  }

  async #undo(guards: boolean): Promise<void> {
    this.#blockers = [];
    this.packets.reset();
    this.#guards = false;
    this.#rightAt = -Infinity;
    this.#made = undefined;
    if (guards) setSysctl(FORWARDING, "0");
    failpoint("egress:not-forwarding");
    try {
      using netlink = openNftables(home);
      if (this.options.docker) await forgetInDocker(netlink);
      if (await hasTable(netlink, EGRESS_TABLE) !== undefined) {
        await commit(netlink, [deleteTable(EGRESS_TABLE)]);
      }
    } catch (error) {
      if (!isUnsupported(error)) throw error;
    }
    failpoint("egress:not-ruled");
    if (guards) Deno.removeSync(this.options.file);
    this.#isIdle = true;
  }

  /** True when forwarding was switched on by this agent since the last boot. */
  #readGuards(): boolean {
    try {
      return Deno.readTextFileSync(this.options.file).trim() === bootId();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }
}

function isForwarding(): boolean {
  return Deno.readTextFileSync(`/proc/sys/${FORWARDING}`).trim() === "1";
}
