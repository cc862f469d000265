/**
 * Manages the devices of this host that are ports of overlay networks: taps of virtual machines, veths, network
 * cards. The list is kept on this host's disk; a device that comes back, as a tap does when its machine is started
 * again, is made a port again.
 */
import { Mutex, repeat } from "../../common/async.ts";
import { isInterfaceName } from "../../common/interface_name.ts";
import { OncePerMinute } from "../../common/log.ts";
import { invalid, messageOf, Refusal } from "../../common/refusal.ts";
import type { NetworkChange } from "../../overlay/network_change.ts";
import { kindOf } from "../../overlay/endpoint_kind.ts";
import { findNetwork } from "../../overlay/networks.ts";
import type { MachineArrival } from "../../overlay_names/arrivals.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { confirmedRead } from "../../store/change.ts";
import type { AttachedPort, MachineAt, PortRecord, PortsApi } from "../api.ts";
import type { Context } from "../context.ts";
import type { PortsPart } from "../parts.ts";
import { failpoint } from "../failpoints.ts";
import { giveBack, isOwnName, makePort } from "../kernel/device.ts";
import type { Workers } from "../reconcile/networks.ts";
import { PortMembers } from "./members.ts";
import { MachineMoves, type RequestMachine } from "./machine_moves.ts";
import type { PortsFile } from "./ports_file.ts";
import { UnknownMacs } from "./unknown_macs.ts";

/** How many machines behind a port may have a lease at a time, where that was not set. */
export const MOST_LEASES = 64;
/** How often devices that are not there are looked for, in ms. */
const EVERY = 2000;

export interface PortsOptions {
  readonly file: PortsFile;
  readonly workers: () => Pick<Workers, "use" | "get">;
  /** The name of the interface that carries the packets between hosts. */
  readonly underlay: () => string;
  /** Asks the agent of an endpoint's host whether its machine is there. */
  readonly requestMachine: RequestMachine;
}

/** The ports of this host, with the requests to attach and detach devices. */
export class Ports implements PortsPart, PortsApi {
  readonly #context: () => Context;
  readonly #file: PortsFile;
  readonly #options: PortsOptions;
  readonly #turn = new Mutex();
  readonly #once = new OncePerMinute();
  /** Why devices are not ports now, by device. */
  readonly #problems = new Map<string, string>();
  /** Devices that are being attached: the request is answered with what is wrong, which is not logged. */
  readonly #attaching = new Set<string>();
  /** The kinds of devices that stay among the host's, where ports are macvlans over them, by device. */
  readonly #over = new Map<string, string>();
  /** The MTUs of networks that are set up on this host. */
  readonly #mtus = new Map<string, number>();
  readonly #members: PortMembers;
  readonly #moves: MachineMoves;
  readonly #strangers: UnknownMacs;
  #unsubscribe = () => {};
  #end: (() => Promise<void>) | undefined;

  constructor(context: () => Context, options: PortsOptions) {
    this.#context = context;
    this.#file = options.file;
    this.#options = options;
    this.#members = new PortMembers(context);
    const moves = this.#moves = new MachineMoves(context, {
      requestMachine: options.requestMachine,
      arrive: (arrival, from) => this.#arrive(arrival, from),
      isNamed: ({ network, port, mac }) =>
        this.#file.ports.some((one) =>
          one.network === network && one.device === port && one.members?.includes(mac)
        ),
    });
    this.#strangers = new UnknownMacs((stranger) => moves.seen(stranger));
  }

  /** Looks for missing devices from now on. */
  start(): void {
    this.#end = repeat(() => EVERY, () => this.#turn.run(() => this.#lookForMissing()));
    this.#unsubscribe = this.#context().view.subscribe((changes) => this.#notice(changes));
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#end?.();
    await this.#strangers.close();
  }

  /** Tests whether a machine is behind the port of this host at which it is known. */
  machine(network: string, mac: string): Promise<MachineAt> {
    return this.#moves.look(network, mac);
  }

  /** A sentence for each machine that sends at a port, and is another one's by what is known. */
  get refused(): readonly string[] {
    return this.#moves.refused;
  }

  /** Closes what is open in a network's namespace that another program has removed, since it would keep that alive. */
  isGone(network: string): void {
    for (const device of this.devices(network)) this.#strangers.unwatch(device);
  }

  /** Takes a machine in; a member that another port named is named by this one from then on. */
  async #arrive(arrival: MachineArrival, from: OverlayEndpoint): Promise<boolean> {
    const arrive = () => this.#members.arrive(arrival, from);
    if (arrival.named || kindOf(from.record) !== "static") return await arrive();
    // Until the list has it, it would be taken for one that is no longer named.
    return await this.#turn.run(async () => {
      const isHere = await arrive();
      if (isHere) this.#name(arrival);
      return isHere;
    });
  }

  #name({ network, port: device, mac }: MachineArrival): void {
    this.#file.save(this.#file.ports.map((port) => {
      if (port.network !== network) return port;
      const { members = [], ...rest } = port, others = members.filter((member) => member !== mac);
      const its = port.device === device ? [...others, mac] : others;
      return { ...rest, ...its.length ? { members: its } : {} };
    }));
  }

  /**
   * The frames of a machine that has left a port are seen there at once, if it comes back. One that has come is passed over from
   * the next look at the ports on: a filter for each of a thousand leases would cost more than the leases.
   */
  #notice(changes: ReadonlyMap<string, NetworkChange>): void {
    const { host: { hostname } } = this.#context();
    const macAt = (device: string, endpoint: OverlayEndpoint | undefined) =>
      endpoint?.host === hostname && endpoint.record.strand_port === device ? endpoint.mac : undefined;
    for (const { device, network } of this.#file.ports) {
      const { endpoints = [] } = changes.get(network) ?? {};
      const hasLeft = endpoints.some(({ before, after }) => {
        const mac = macAt(device, before);
        return mac !== undefined && mac !== macAt(device, after);
      });
      if (hasLeft) this.#strangers.know(device, this.#macsAt(network, device));
    }
  }

  #macsAt(network: string, device: string): Set<string> {
    const { view, host: { hostname } } = this.#context();
    const here = [...view.space(network).endpointsOn(hostname)];
    return new Set(here.flatMap(({ mac, record }) => record.strand_port === device ? mac ?? [] : []));
  }

  /** True when this host has a port of the network, or is to have one. */
  has(network: string): boolean {
    return this.#file.ports.some((port) => port.network === network);
  }

  /** The devices that are ports of the network, or are to be. */
  devices(network: string): string[] {
    return this.#file.ports.filter((port) => port.network === network).map(({ device }) => device);
  }

  /** How many machines behind a port of the network may have a lease at a time. */
  mostLeases(network: string, device: string): number {
    const port = this.#file.ports.find((port) => port.device === device && port.network === network);
    return port?.leases ?? MOST_LEASES;
  }

  /** The networks of all ports. */
  networks(): string[] {
    return [...new Set(this.#file.ports.map(({ network }) => network))];
  }

  /** A sentence for each device that is not a port although it is to be one, and for each of its members that is not there. */
  get problems(): readonly string[] {
    const devices = this.#file.ports.flatMap(({ device, network }) => {
      const why = this.#problems.get(device);
      return why === undefined ? [] : [`${device} is no port of network ${this.#nameOf(network)}: ${why}`];
    });
    return [...devices, ...this.#members.problems];
  }

  /** Problems of a machine at this host's ports, a sentence each. @param device Its port, where that is a device of this host. */
  problemsOf(network: string, mac: string | undefined, device: string | undefined): string[] {
    const why = device === undefined ? undefined : this.#problems.get(device);
    return [
      ...why === undefined ? [] : [`${device} is no port of network ${this.#nameOf(network)}: ${why}`],
      ...mac === undefined ? [] : this.#moves.refusedOf(network, mac),
    ];
  }

  readonly ports = (): readonly PortRecord[] => this.#file.ports;

  over(device: string): string | undefined {
    return this.#over.get(device);
  }

  async attachPort({ device, network, leases, members }: PortRecord): Promise<AttachedPort> {
    const { view, store, storeGuard } = this.#context();
    storeGuard.assertNotHeld();
    if (!isInterfaceName(device)) {
      throw invalid(`device: "${device}" is not the name of an interface, like tap0`);
    }
    if (isOwnName(device)) throw invalid(`device: ${device} is a name of the agent's own interfaces`);
    const known = this.#file.ports.find((port) => port.device === device);
    if (known && known.network !== network) {
      const its = this.#nameOf(known.network);
      throw new Refusal(
        "exists",
        `device: ${device} is a port of network ${its} already: detach it there first`,
      );
    }
    const using = await this.#options.workers().use(network);
    try {
      // The worker follows the network's records; before it, none of them may be known.
      const port = await confirmedRead(store, () => {
        findNetwork(view, network);
        return this.#settingsFor({ device, network, leases, members }, known);
      });
      const updated = known?.leases !== port.leases || `${known?.members}` !== `${port.members}`;
      const others = this.#file.ports.filter((port) => port !== known);
      if (!known || updated) this.#file.save([...others, port]);
      failpoint("port:saved");
      this.#attaching.add(device);
      await using.worker.bring();
      const why = this.#mtus.has(network)
        ? this.#problems.get(device)
        : using.worker.problems[0] ?? "the network could not be set up on this host";
      if (why !== undefined) {
        if (!known) await this.#undo(port);
        throw new Refusal("forbidden", `device: ${why}`);
      }
      try {
        await this.#members.take(port);
      } catch (error) {
        if (known) this.#file.save([...others, known]);
        else await this.#undo(port);
        throw error;
      } finally {
        await this.#turn.run(() => this.#members.bring(this.#file.ports));
      }
      return { port, existing: known !== undefined, updated };
    } finally {
      this.#attaching.delete(device);
      using.release();
    }
  }

  /** The settings of a port: those of the request, or else those that it had before. Throws Refusal. */
  #settingsFor({ device, network, leases, members }: PortRecord, known: PortRecord | undefined): PortRecord {
    const most = leases ?? known?.leases;
    const macs = members ? this.#members.macsOf(network, members) : known?.members ?? [];
    for (const other of this.#file.ports) {
      if (other === known || other.network !== network) continue;
      const twice = macs.find((mac) => other.members?.includes(mac));
      if (twice === undefined) continue;
      throw new Refusal(
        "exists",
        `members: ${twice} is a member at ${other.device}: take it out of that list first`,
      );
    }
    return {
      device,
      network,
      ...most === undefined ? {} : { leases: most },
      ...macs.length ? { members: macs } : {},
    };
  }

  async detachPort(device: string): Promise<PortRecord> {
    this.#context().storeGuard.assertNotHeld();
    const port = this.#file.ports.find((port) => port.device === device);
    if (!port) throw new Refusal("not-found", `device: ${device} is a port of no network on this host`);
    await this.#undo(port);
    await this.#turn.run(() => this.#members.bring(this.#file.ports));
    await this.#options.workers().get(port.network)?.compare("change");
    return port;
  }

  /** The network is set up on this host: its devices are made ports. */
  async isSetUp(network: string, mtu: number): Promise<void> {
    if (!this.has(network)) return;
    this.#mtus.set(network, mtu);
    await this.#turn.run(async () => {
      for (const port of this.#file.ports.filter((port) => port.network === network)) {
        const error = await this.#bring(port);
        // A request waits for it, and what another program has changed just now is compared once more.
        if (error && !(error instanceof Refusal) && this.#attaching.has(port.device)) throw error;
      }
    });
  }

  /** The network's namespace is about to be removed, with every virtual device in it: its devices go back to the host. */
  async leave(network: string): Promise<void> {
    this.#mtus.delete(network);
    await this.#turn.run(async () => {
      for (const device of this.devices(network)) {
        this.#strangers.unwatch(device);
        await giveBack(this.#context().namespacePath(network), device);
        this.#problems.set(device, "the network is not on this host");
      }
    });
  }

  async #lookForMissing(): Promise<void> {
    if (this.#context().storeGuard.hold) return;
    for (const port of this.#file.ports) await this.#bring(port);
    await this.#members.bring(this.#file.ports);
  }

  /** @returns the error where it could not be made a port */
  async #bring({ device, network }: PortRecord): Promise<unknown> {
    const { log, namespacePath } = this.#context(), mtu = this.#mtus.get(network);
    // The worker reports the network's own problems.
    if (mtu === undefined) return undefined;
    try {
      const path = namespacePath(network);
      const over = await makePort(path, device, { underlay: this.#options.underlay(), mtu });
      if (over === undefined) this.#over.delete(device);
      else this.#over.set(device, over);
      this.#strangers.watch(network, device, path, this.#macsAt(network, device));
      if (this.#problems.delete(device) && !this.#attaching.has(device)) {
        log.info({ network }, `${device} is a port of network ${this.#nameOf(network)} again`);
      }
    } catch (error) {
      const why = messageOf(error);
      this.#problems.set(device, why);
      if (!this.#attaching.has(device) && this.#once.due(`${device} ${why}`)) {
        log.warn({ network }, `${device} is no port of network ${this.#nameOf(network)}: ${why}`);
      }
      return error;
    }
    return undefined;
  }

  /** The device is the host's again, and is forgotten. */
  #undo({ device, network }: PortRecord): Promise<void> {
    return this.#turn.run(async () => {
      this.#strangers.unwatch(device);
      await giveBack(this.#context().namespacePath(network), device);
      this.#file.save(this.#file.ports.filter((port) => port.device !== device));
      this.#problems.delete(device);
      this.#over.delete(device);
    });
  }

  #nameOf(network: string): string {
    const { view } = this.#context();
    for (const [name, id] of view.networkNames()) if (id === network) return name;
    return view.network(network)?.name ?? network;
  }
}
