/**
 * Keeps endpoints for members that a port of this host names: machines with a fixed address, which never ask for it
 * by DHCP. Each endpoint is made from the member's reservation, and stays for as long as the port names the member.
 */
import { closest } from "../../common/closest.ts";
import { tryParseMac } from "../../common/mac.ts";
import { invalid, messageOf, Refusal } from "../../common/refusal.ts";
import { timestamp } from "../../common/timestamp.ts";
import { machineAt } from "../../overlay/containment.ts";
import { isBehindPort, kindOf } from "../../overlay/endpoint_kind.ts";
import { planDeleteEndpoints } from "../../overlay/endpoints.ts";
import type { Space } from "../../overlay/space.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { macNumber } from "../../overlay/state.ts";
import { type MachineArrival, planArrival } from "../../overlay_names/arrivals.ts";
import { change } from "../../store/change.ts";
import type { PortRecord } from "../api.ts";
import type { Context } from "../context.ts";
import type { ContainmentOp } from "../kernel/containment.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** Makes and removes the endpoints of members that ports name. */
export class PortMembers {
  readonly #context: () => Context;
  /** The reasons why members have no endpoint, by network, port and MAC. */
  readonly #problems = new Map<string, string>();
  /** The networks in which members were looked for that no port names any more; undefined: not yet. */
  #swept: Set<string> | undefined;

  constructor(context: () => Context) {
    this.#context = context;
  }

  /** A sentence for each member that has no endpoint. */
  get problems(): readonly string[] {
    return [...this.#problems.values()];
  }

  /**
   * The MACs of members by name or MAC.
   * @throws Refusal "invalid" that names what is no member with an address of the network
   */
  macsOf(network: string, members: readonly string[]): string[] {
    const space = this.#context().view.space(network);
    return [...new Set(members.map((text) => macOf(space, text)))];
  }

  /** Makes the endpoints of a port's members, also of those that are behind another port now. @throws Refusal */
  async take({ network, device: port, members = [] }: PortRecord): Promise<void> {
    for (const mac of members) {
      try {
        await this.arrive({ network, mac, port, named: true });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        throw new Refusal(error.code, `members: ${error.message}`, { cause: error });
      }
    }
  }

  /**
   * Makes the endpoint of a machine at a port of this host.
   * @param from The endpoint that it must still have.
   * @returns false where that has changed, so that nothing was done
   * @throws Refusal
   */
  async arrive(arrival: MachineArrival, from?: OverlayEndpoint): Promise<boolean> {
    const { view, store, storeGuard, host: { hostname, ip, apiHostname } } = this.#context();
    const host = { hostname, ip, apiHostname, timestamp, newId: () => crypto.randomUUID() };
    const plan = () => planArrival(view, arrival, host, Date.now());
    if (!plan()) return true;
    let isSame = true;
    const undo = await this.#admit(arrival);
    try {
      await change(store, () => {
        storeGuard.assertNotHeld();
        const now = from && view.endpoint(from.id);
        isSame = now?.modified === from?.modified;
        return isSame ? plan() : undefined;
      }, { unconfirmed: true });
    } catch (error) {
      await undo();
      throw error;
    }
    if (!isSame) await undo();
    return isSame;
  }

  /**
   * Lets pass what the machine sends at its port before other hosts have the way to it: a frame that is dropped meanwhile, as its
   * ARP request, would be sent again a second later. The network's comparison does it too. @returns what takes that back
   */
  async #admit({ network, mac, port, named }: MachineArrival): Promise<() => Promise<void>> {
    const { view, kernel: { containment }, namespacePath, log, host: { hostname } } = this.#context();
    const space = view.space(network);
    const [holder] = space.holdersOfMac(macNumber(mac)), reserved = space.reservations.get(mac)?.ip4;
    const address = named ? reserved : holder?.address?.toString();
    const own = new Set(machineAt(port, mac, [`${address}`])), path = namespacePath(network);
    const isKnown = holder && isAt(holder, hostname, port) && holder.address?.toString() === address;
    if (isKnown || containment.missing !== undefined) return async () => {};
    const carryOut = async (op: ContainmentOp) => {
      try {
        using namespace = NetworkNamespace.openIfAny(path);
        if (namespace) await containment.carryOut(namespace, op);
      } catch (error) {
        log.debug({ network }, `the rules of ${port} are not changed yet: ${messageOf(error)}`);
      }
    };
    await carryOut({ op: "containment-set", add: own });
    return () => carryOut({ op: "containment-unset", remove: own });
  }

  /** Makes the missing endpoints of the ports' members, and removes those of members that no port names any more. */
  async bring(ports: readonly PortRecord[]): Promise<void> {
    const { view, host: { hostname } } = this.#context();
    this.#problems.clear();
    for (const { network, device: port, members = [] } of ports) {
      if (!view.network(network)) continue;
      for (const mac of members) {
        const [holder] = view.space(network).holdersOfMac(macNumber(mac));
        // It has moved to another port, of this host or another one.
        if (holder && isBehindPort(holder.record) && !isAt(holder, hostname, port)) continue;
        await this.#try(
          `${network} ${port} ${mac}`,
          async () => void await this.arrive({ network, mac, port, named: true }),
        );
      }
    }
    const named = new Set(
      ports.flatMap(({ network, device, members = [] }) =>
        members.map((mac) => `${network} ${device} ${mac}`)
      ),
    );
    // At first all networks are looked through: what an agent that was killed has left may be in any.
    const networks = new Set([
      ...ports.map(({ network }) => network),
      ...this.#swept ?? view.networksOn(hostname),
    ]);
    this.#swept = new Set(ports.map(({ network }) => network));
    for (const network of networks) {
      for (const { id, mac, record } of [...view.space(network).endpointsOn(hostname)]) {
        const key = `${network} ${record.strand_port} ${mac}`;
        if (kindOf(record) !== "static" || named.has(key)) continue;
        await this.#try(key, () => this.#remove(id));
        this.#swept.add(network);
      }
    }
  }

  async #remove(id: string): Promise<void> {
    const { view, store, storeGuard, host: { hostname } } = this.#context();
    await change(store, () => {
      storeGuard.assertNotHeld();
      return view.endpoint(id)?.host === hostname
        ? planDeleteEndpoints(view, [id], { hostname, now: Date.now() })
        : undefined;
    }, { unconfirmed: true });
  }

  async #try(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#problems.set(key, messageOf(error));
    }
  }
}

function isAt({ host, record }: OverlayEndpoint, hostname: string, port: string): boolean {
  return host === hostname && record.strand_port === port;
}

function macOf(space: Space, text: string): string {
  const mac = tryParseMac(text), label = text.toLowerCase();
  const found = mac !== undefined ? [mac] : [...space.reservationsNamed(label)];
  const [first, ...others] = found;
  if (others.length) {
    throw invalid(`members: several members are called ${text}: name one of ${found.join(", ")}`);
  }
  if (first !== undefined && space.reservations.get(first)?.ip4 !== undefined) return first;
  const meant = closest(label, space.reservedNames());
  const hint = meant === undefined || meant === label ? "" : `; did you mean "${meant}"?`;
  throw new Refusal("not-found", `members: the network has no member "${text}" with an address${hint}`);
}
