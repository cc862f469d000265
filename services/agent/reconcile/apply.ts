import { messageOf, Refusal } from "../../common/refusal.ts";
import { namespaceGone } from "../../overlay/endpoints.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { isDestructive } from "../../overlay/op_groups.ts";
import type { OverlayEndpoint } from "../../overlay/space.ts";
import { sinceBoot } from "../context.ts";
import { failpoint } from "../failpoints.ts";
import { NamespaceGone } from "../kernel/network_namespace.ts";
import { TargetRefused } from "../kernel/target.ts";
import type { HostNetwork } from "./host_network.ts";
import type { Problems } from "./problems.ts";
import type { RemovalGuard } from "./removal_guard.ts";

/** The one way by which the kernel is changed. */
export class Applier {
  constructor(
    private readonly network: HostNetwork,
    private readonly problems: Problems,
    private readonly guard: RemovalGuard,
  ) {}

  /** Carries out operations; those that take something away only once the store is known to mean it. */
  async apply(ops: readonly KernelOp[], endpoint?: OverlayEndpoint): Promise<void> {
    if (!ops.length) return;
    if (ops.some(isDestructive)) await this.guard.confirm();
    const { kernel, context } = this.network;
    context.storeGuard.assertNotHeld();
    // The namespace has been looked at before; the one that is opened now may be another one.
    const isTarget = (identity: string) => !endpoint || !namespaceGone(endpoint, sinceBoot(identity));
    await kernel.carryOut(ops, (op) => failpoint(`op:${op.op}`), isTarget);
  }

  /** Does what concerns one endpoint: where it fails, that is a problem of this endpoint, and the others go on. */
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

/** A failure with the endpoint that it concerns. Where the request was wrong, that is told as such. */
export function notDone(endpoint: string, what: "set up" | "removed", error: unknown): Error {
  const message = `endpoint ${endpoint} could not be ${what}: ${messageOf(error)}`;
  if (error instanceof Refusal) return new Refusal(error.code, message, { cause: error });
  if (error instanceof NamespaceGone) return new Refusal("invalid", message, { cause: error });
  return new Error(message, { cause: error });
}
