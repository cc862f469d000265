import type { Limit } from "../common/async.ts";
import type { Log } from "../common/log.ts";
import type { Ip } from "../common/ip.ts";
import type { View } from "../overlay/view.ts";
import type { SandStore } from "../store/sand_store.ts";
import type { Counters } from "./counters.ts";
import type { HostEgress } from "./egress/host_egress.ts";
import type { Drift } from "./reconcile/drift_check.ts";
import type { Gateways } from "./gateway/gateways.ts";
import type { HeldAddresses } from "./held_addresses.ts";
import type { HostKernel } from "./kernel/host.ts";
import type { Ports } from "./ports/ports.ts";
import type { Prober } from "./probe/prober.ts";
import type { StoreGuard } from "./store_guard/guard.ts";
import type { Vteps } from "./vteps.ts";

/** What the agent's parts share: store, mirror's view, kernel, and the host's own data. */
export interface Context {
  readonly store: SandStore;
  readonly view: View;
  readonly kernel: HostKernel;
  readonly storeGuard: StoreGuard;
  /** How many networks are compared with the kernel at once. */
  readonly comparisons: Limit;
  /** Networks in which another program has changed the kernel. */
  readonly drift: Drift;
  /** Which other hosts answer probes. */
  readonly prober: Pick<Prober, "answering" | "examine" | "paths">;
  /** What answers at the networks' gateways. */
  readonly gateways: Pick<Gateways, "isSetUp" | "isGone">;
  /** The host's part in letting machines reach the world. */
  readonly egress: Pick<HostEgress, "transferOf" | "prepare" | "release">;
  /** This host's devices that are ports of networks. */
  readonly ports: Pick<
    Ports,
    | "has"
    | "over"
    | "devices"
    | "machine"
    | "mostLeases"
    | "networks"
    | "isSetUp"
    | "isGone"
    | "leave"
    | "problemsOf"
  >;
  /** Which endpoints of this host have addresses that several may use. */
  readonly held: Pick<HeldAddresses, "isSetUp" | "isGone">;
  /** From which hosts VXLAN is taken. */
  readonly vteps: Pick<Vteps, "widen" | "settle" | "admits">;
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
  readonly counters: Counters;
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
