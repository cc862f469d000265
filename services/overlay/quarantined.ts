/** The addresses of a network that are in quarantine, since a machine found them in use; one that is given after all leaves it. */
import { Ip } from "../common/ip.ts";
import type { PlanBuilder } from "../store/plan_builder.ts";
import type { OverlayView } from "./view.ts";

/** Operations of a transaction beside these: the network's claims and its cursor, and the absence of SAND's locks. */
const OWN_ROOM = 6;

/** They are known by their places in the network's range, as those that are claimed. */
export class Quarantined {
  readonly #reused = new Set<number>();

  /**
   * @param first The network's first address, as a 32-bit value.
   * @param now Milliseconds since the epoch.
   */
  constructor(
    private readonly view: OverlayView,
    private readonly network: string,
    private readonly first: number,
    private readonly now: number,
  ) {}

  has(place: number): boolean {
    const { withheld } = this.view.space(this.network);
    if (withheld.size === 0) return false;
    const record = withheld.get(this.#address(place));
    return record !== undefined && record.until * 1000 > this.now;
  }

  /** The one that was declined longest ago, of those that may be given; undefined: there is none. */
  oldest(mayGive: (place: number) => boolean): number | undefined {
    let oldest: number | undefined, least = Infinity;
    for (const [text, { until }] of this.view.space(this.network).withheld) {
      const place = (Ip.tryParse(text)?.u32 ?? -1) - this.first;
      if (until < least && mayGive(place)) [oldest, least] = [place, until];
    }
    return oldest;
  }

  /** Notes that an address is given. */
  given(place: number): void {
    if (this.has(place)) this.#reused.add(place);
  }

  undoGiven(place: number): void {
    this.#reused.delete(place);
  }

  /** Ends the quarantines of those that are given, as far as the transaction has room: others end by themselves. */
  writeTo(builder: PlanBuilder): void {
    for (const place of this.#reused) {
      if (builder.room < OWN_ROOM) break;
      this.#reused.delete(place);
      const key = this.view.keys.withheldAddress(this.network, this.#address(place));
      builder.guard(this.view.guard(key)).remove(key);
    }
  }

  #address(place: number): string {
    return Ip.from4(this.first + place).toString();
  }
}
