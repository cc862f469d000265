/** An index of a network's endpoints by address or MAC, and of the VTEPs that they are behind. */
import type { OverlayEndpoint } from "./overlay_endpoint.ts";

const NO_ENDPOINTS: readonly OverlayEndpoint[] = [];

/** Endpoints by a number, the oldest first. */
export class Holders {
  readonly #of = new Map<number, readonly OverlayEndpoint[]>();

  get(value: number): readonly OverlayEndpoint[] {
    return this.#of.get(value) ?? NO_ENDPOINTS;
  }

  add(value: number, endpoint: OverlayEndpoint): void {
    if (value >= 0) this.#of.set(value, [...this.get(value), endpoint].sort(older));
  }

  remove(value: number, endpoint: OverlayEndpoint): void {
    const left = this.get(value).filter(({ id }) => id !== endpoint.id);
    if (left.length) this.#of.set(value, left);
    else this.#of.delete(value);
  }
}

/** Orders endpoints by creation, the same way on every host. */
export function older(a: OverlayEndpoint, b: OverlayEndpoint): number {
  return a.created - b.created || (a.id < b.id ? -1 : 1);
}

/** How often the VTEPs of any network have changed. */
let changes = 0;

/** How many endpoints are behind each VTEP. */
export class VtepCounts {
  readonly #counts = new Map<number, number>();
  /** Another number whenever a VTEP has come or gone, in whatever network. */
  stamp = 0;

  /** Each as a 32-bit value. */
  all(): Iterable<number> {
    return this.#counts.keys();
  }

  has(vtep: number): boolean {
    return this.#counts.has(vtep);
  }

  /** @param vtep As a 32-bit value; -1 or undefined: none. */
  count(vtep = -1, change: 1 | -1): void {
    if (vtep < 0) return;
    const before = this.#counts.get(vtep) ?? 0, count = before + change;
    if (count) this.#counts.set(vtep, count);
    else this.#counts.delete(vtep);
    if (!count || !before) this.stamp = ++changes;
  }
}
