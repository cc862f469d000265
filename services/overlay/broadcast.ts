/** Chooses the hosts that broadcast frames of a network are sent to. */
import type { KernelOp } from "./ops.ts";
import type { OverlayView } from "./view.ts";

const NONE: ReadonlySet<number> = new Set();

/** True for a network whose broadcast and multicast reach its other hosts. */
export function isBroadcast(view: OverlayView, network: string): boolean {
  return view.space(network).settings?.overlay.broadcast === true;
}

/** The VTEPs of the other hosts with endpoints of the network, whichever agent they have; none where it stays on its host. */
export function floodOf(view: OverlayView, network: string, own: number | undefined): ReadonlySet<number> {
  if (!isBroadcast(view, network)) return NONE;
  const vteps = new Set(view.space(network).vteps.all());
  if (own !== undefined) vteps.delete(own);
  return vteps;
}

/** The operations between two states of the all-zero MAC's entries. */
export function floodOps(actual: ReadonlySet<number>, desired: ReadonlySet<number>): KernelOp[] {
  const wrong = actual.difference(desired), add = wrong.size ? desired : desired.difference(actual);
  return [
    ...wrong.size ? [{ op: "flood-remove", vteps: wrong } as const] : [],
    ...add.size ? [{ op: "flood-set", vteps: add } as const] : [],
  ];
}
