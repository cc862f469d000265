/**
 * The single readiness gate of the agent's APIs: each is refused until etcd has been read, the host's name claimed and the networks
 * compared with the kernel.
 */
import { Refusal } from "../common/refusal.ts";
import type { AgentApi, AttachmentsApi, PortsApi } from "./api.ts";
import type { DockerApi } from "./docker/api.ts";
import type { NameClaim } from "./store_guard/name_claim.ts";
import type { StoreGuard } from "./store_guard/guard.ts";

/** The parts that are used by others which start before them. */
export interface Running {
  claim?: NameClaim;
  storeGuard?: StoreGuard;
  /** After a hold: applies what it has delayed. */
  resume?: () => Promise<void>;
}

/** The APIs, each present once it has started. */
export interface StartedApis {
  api?: AgentApi;
  attachments?: AttachmentsApi;
  ports?: PortsApi;
  docker?: DockerApi;
}

/**
 * @param endpoints The members of etcd, for the refusal.
 * @returns a function that gives the API of that name; it throws Refusal "unavailable" with the reason while there is none yet
 */
export function readinessGate(
  apis: StartedApis,
  running: Running,
  endpoints: readonly string[],
): <K extends keyof StartedApis>(name: K) => NonNullable<StartedApis[K]> {
  return (name) => {
    const api = apis[name];
    if (api) return api;
    if (running.claim?.hold) throw new Refusal("unavailable", running.claim.sentence);
    if (running.storeGuard) {
      running.storeGuard.assertNotHeld();
      throw new Refusal(
        "unavailable",
        "the agent has just started, and compares this host's networks with etcd",
      );
    }
    throw new Refusal("unavailable", `etcd at ${endpoints.join(", ")} was not reached yet`);
  };
}
