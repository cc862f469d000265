import type { Log } from "../common/log.ts";
import type { Ip } from "../common/ip.ts";
import type { View } from "../overlay/view.ts";
import type { SandStore } from "../store/sand_store.ts";
import type { Counters } from "./counters.ts";
import type { Drift } from "./reconcile/drift_check.ts";
import type { HostKernel } from "./kernel/host.ts";
import type { Prober } from "./probe/prober.ts";
import type { StoreGuard } from "./store_guard/guard.ts";

/** What the parts of an agent have in common. */
export interface Context {
  readonly store: SandStore;
  readonly view: View;
  readonly kernel: HostKernel;
  readonly storeGuard: StoreGuard;
  /** Networks that others have changed in the kernel. */
  readonly drift: Drift;
  /** Whether other hosts are reached. */
  readonly prober: Pick<Prober, "answering">;
  readonly host: {
    readonly hostname: string;
    /** Its VTEP. */
    readonly ip: Ip;
    readonly apiHostname: string;
  };
  /** Where the namespace of a network is bound on this host. */
  readonly namespacePath: (network: string) => string;
  /** Of the routes to the other hosts, as it was last seen. */
  underlayMtu(): number;
  readonly counters: Counters;
  readonly log: Log;
}

/**
 * RFC 3339 with nanoseconds, as the store has it. By those that the clock does not have, each is another: what was made
 * by two hosts in one millisecond can be told apart.
 */
export function timestamp(): string {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  return new Date().toISOString().replace("Z", `${random % 1_000_000}`.padStart(6, "0") + "Z");
}

let boot: string | undefined;

/** Random, and another after each boot of the kernel. */
export function bootId(): string {
  return boot ??= Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

/** What the kernel calls something, so that it is told from what it calls the same after a reboot. */
export function sinceBoot(identity: string): string {
  return `${bootId()}/${identity}`;
}
