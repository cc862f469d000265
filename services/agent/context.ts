/**
 * The objects that all parts of the agent share: the store and its view, the kernel, the host's identity and the
 * parts themselves.
 */
import type { Limit } from "../common/async.ts";
import type { Log } from "../common/log.ts";
import type { Ip } from "../common/ip.ts";
import type { OverlayView } from "../overlay/view.ts";
import type { SandStore } from "../store/sand_store.ts";
import type { AgentCounters } from "./counters.ts";
import type { HostKernel } from "./kernel/host.ts";
import type { DriftPart, EgressPart, NetworksPart, PortsPart, ProberPart, VtepsPart } from "./parts.ts";
import type { StoreGuard } from "./store_guard/guard.ts";

/** The objects that the agent's parts share: store, mirror's view, kernel, and the host's own data. */
export interface Context {
  readonly store: SandStore;
  readonly view: OverlayView;
  readonly kernel: HostKernel;
  readonly storeGuard: StoreGuard;
  /** How many networks are compared with the kernel at once. */
  readonly comparisons: Limit;
  /** Networks in which another program has changed the kernel. */
  readonly drift: DriftPart;
  /** The probes, which know the hosts that answer over VXLAN. */
  readonly prober: ProberPart;
  /** The gateways of the networks, at which gatewayd answers. */
  readonly gateways: NetworksPart;
  /** The host's part in letting machines reach the world. */
  readonly egress: EgressPart;
  /** This host's devices that are ports of networks. */
  readonly ports: PortsPart;
  /** Addresses that several endpoints may use, with the endpoint of this host that holds each. */
  readonly held: NetworksPart;
  /** The rules by which VXLAN is accepted only from the hosts of its network. */
  readonly vteps: VtepsPart;
  readonly host: {
    readonly hostname: string;
    /** Its VTEP. */
    readonly ip: Ip;
    readonly apiHostname: string;
  };
  /** The path at which a network's namespace is mounted on this host. */
  readonly namespacePath: (network: string) => string;
  /** The smallest MTU of the routes to the other hosts, as last read. */
  underlayMtu(): number;
  /** How many frames a second a port may send to all hosts of its network. */
  readonly broadcastLimit: number;
  readonly counters: AgentCounters;
  readonly log: Log;
}

let boot: string | undefined;

/** The kernel's boot id: random, and different after each boot. */
export function bootId(): string {
  return boot ??= Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

/** Qualifies an identity that is valid only until the next boot, such as a namespace's inode and cookie, with the boot id. */
export function sinceBoot(identity: string): string {
  return `${bootId()}/${identity}`;
}
