/**
 * The interfaces of the agent's parts, by which they use one another through the {@link Context}. Each part
 * implements its interface and imports the context, so that the context imports no part.
 */
import type { Cidr } from "../common/ip.ts";
import type { MachineAt, PortRecord } from "./api.ts";
import type { PathExamination } from "./probe/examine.ts";
import type { Path } from "./probe/paths.ts";

/** A network that can be compared with the kernel: its worker. */
export interface ComparedNetwork {
  /** Its name, or its id where it has none. */
  shownName(): string;
  compare(reason: "drift"): Promise<void>;
}

/** Compares networks in which another program has changed the kernel. */
export interface DriftPart {
  /** Requests a comparison: something has changed in the network's namespace. */
  suspect(network: ComparedNetwork): void;
}

/** Probes the ways to other hosts. */
export interface ProberPart {
  /**
   * The VNI on which this host answers probes of a network's hosts; null when it does not, since packets on another
   * UDP port say nothing about the network's. Creates the device where there is none.
   */
  answering(network: string): Promise<number | null>;
  /** Removes its device where a network of this host has the same VNI, of which the kernel has one device only. */
  giveWay(): Promise<void>;
  /** Looks at the way to a host at once; undefined for one that is not probed. @throws SystemError */
  examine(hostname: string): Promise<PathExamination | undefined>;
  /** The state of the paths to all peers. */
  paths(): readonly Path[];
}

/** A part that follows which networks are set up on this host. */
export interface NetworksPart {
  /** The network is set up on this host, as has just been compared. */
  isSetUp(network: string): void;
  /** Forgets a network that has left this host, or whose namespace is about to be removed. */
  isGone(network: string): void;
}

/** The host's part in letting machines reach the world. */
export interface EgressPart {
  /**
   * The transfer address of a network on this host: its present one, or a free one of the pool.
   * @param range The network's own.
   * @throws Refusal "exhausted" when the pool has none
   */
  transferOf(network: string, range: Cidr, current: string | undefined): Promise<string>;
  /** Has the host ready for uplinks with a transfer address. @throws Refusal where the kernel cannot do it */
  prepare(): Promise<void>;
  /** Before a network has an uplink without such an address: where the host forwards nothing, it will only forward for uplinks. */
  prepareForwarding(network: string): Promise<void>;
  /**
   * Says that a network has no transfer address any more; with the last one, the host's rules go.
   * @param hasUplink True: it has an uplink for what CNI gives the host routes to.
   */
  release(network: string, hasUplink: boolean): Promise<void>;
}

/** This host's devices that are ports of networks. */
export interface PortsPart {
  /** True when this host has a port of the network, or is to have one. */
  has(network: string): boolean;
  /** The kind of the device that a port is a macvlan over; undefined for one that was moved into the namespace. */
  over(device: string): string | undefined;
  /** All of them: another object after each change. */
  ports(): readonly PortRecord[];
  /** The devices that are ports of the network, or are to be. */
  devices(network: string): readonly string[];
  /** Tests whether a machine is behind the port of this host at which it is known. */
  machine(network: string, mac: string): Promise<MachineAt>;
  /** How many machines behind a port of the network may have a lease at a time. */
  mostLeases(network: string, device: string): number;
  /** The networks of all ports. */
  networks(): readonly string[];
  /** The network is set up on this host: its devices are made ports. */
  isSetUp(network: string, mtu: number): Promise<void>;
  /** Closes what is open in a network's namespace that another program has removed, since it would keep that alive. */
  isGone(network: string): void;
  /** The network's namespace is about to be removed, with every virtual device in it: its devices go back to the host. */
  leave(network: string): Promise<void>;
  /** Problems of a machine at this host's ports, a sentence each. @param device Its port, where that is a device of this host. */
  problemsOf(network: string, mac: string | undefined, device: string | undefined): readonly string[];
}

/** A network as its worker has it. */
export interface AdmittedNetwork {
  readonly id: string;
  readonly unwanted: boolean;
  readonly fault: string | undefined;
}

/** The rules that say from which hosts VXLAN is taken. */
export interface VtepsPart {
  /** Lets what etcd says of a network in, since what a new host sends may arrive at once. Nothing is removed. */
  widen(network: AdmittedNetwork): Promise<void>;
  /**
   * Removes what etcd no longer says of a network, after etcd itself has confirmed it.
   * @throws what the guard throws
   */
  settle(network: AdmittedNetwork, guard: { confirm(): Promise<void> }): Promise<void>;
  /** Tests whether VXLAN of a VNI is accepted from a VTEP; undefined where this host has no such rules. */
  admits(vni: number, vtep: string): Promise<boolean | undefined>;
}
