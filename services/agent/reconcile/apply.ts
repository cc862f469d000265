/** Carries out operations in one network's kernel state. Removals are confirmed with etcd first. */
import { messageOf, Refusal } from "../../common/refusal.ts";
import { namespaceGone } from "../../overlay/endpoints.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { isDestructive } from "../../overlay/op_groups.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { sinceBoot } from "../context.ts";
import { failpoint } from "../failpoints.ts";
import { NamespaceGone } from "../kernel/network_namespace.ts";
import { TargetRefused } from "../kernel/target.ts";
import type { HostNetwork } from "./host_network.ts";
import type { Problems } from "./problems.ts";
import type { RemovalGuard } from "./removal_guard.ts";
import type { EndpointTraces } from "./traces.ts";

/** Changes one network's part of the kernel; every change of it goes through here. */
export class Applier {
  constructor(
    private readonly network: HostNetwork,
    private readonly problems: Problems,
    readonly guard: RemovalGuard,
    private readonly traces?: EndpointTraces | undefined,
  ) {}

  /** Carries out operations; those that remove something only after etcd has confirmed that the agent should. */
  async apply(ops: readonly KernelOp[], endpoint?: OverlayEndpoint): Promise<void> {
    if (!ops.length) return;
    this.traces?.planned();
    if (ops.some(isDestructive)) await this.guard.confirm();
    const { kernel, context } = this.network;
    context.storeGuard.assertNotHeld();
    // The namespace at the path may have been replaced since it was inspected, so the one that is opened is checked.
    const isTarget = (identity: string) => !endpoint || !namespaceGone(endpoint, sinceBoot(identity));
    await kernel.carryOut(ops, (op) => failpoint(`op:${op.op}`), isTarget);
  }

  /** Runs a step for one endpoint: a failure is recorded as a problem of this endpoint, and the others go on. */
  async forOne(endpoint: string, act: () => Promise<void>): Promise<void> {
    const { storeGuard, view } = this.network.context;
    try {
      await act();
    } catch (error) {
      if (storeGuard.hold) throw error;
      const removing = !view.endpoint(endpoint)?.active;
      const problem = error instanceof TargetRefused
        ? this.network.refusal(endpoint, error.message)
        : notDone(endpoint, removing ? "removed" : "set up", error);
      this.problems.endpoints.set(endpoint, problem);
    }
  }
}

/** The error of a failed step, with the endpoint that it concerns. A cause that lies in the request keeps its code. */
export function notDone(endpoint: string, what: "set up" | "removed", error: unknown): Error {
  const message = `endpoint ${endpoint} could not be ${what}: ${messageOf(error)}`;
  if (error instanceof Refusal) return new Refusal(error.code, message, { cause: error });
  if (error instanceof NamespaceGone) return new Refusal("invalid", message, { cause: error });
  return new Error(message, { cause: error });
}
