/** Limits how often each port of a network may do something, so that no machine uses up what others need. */

/** The most ports that are remembered; those that were quiet longest are forgotten. */
const MOST = 4096;

/** How often a second, and how often at once. */
export interface Rate {
  readonly rate: number;
  readonly burst: number;
}

/** The limit on what one port may send to the DHCP server, whatever it is. */
export const MESSAGES: Rate = { rate: 500, burst: 1000 };

interface Bucket {
  left: number;
  at: number;
}

/** A token bucket for each port that has sent lately. */
export class PortLimits {
  /** Those that have sent last are at the end. */
  readonly #ports = new Map<string, Bucket>();

  /** @param now A monotonic clock in ms. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** True when the port may do it once more, which is counted. */
  take(network: string, port: number | string, { rate, burst }: Rate): boolean {
    const key = `${network} ${port}`, now = this.now();
    const { left = burst, at = now } = this.#ports.get(key) ?? {};
    const filled = Math.min(burst, left + (now - at) * rate / 1000);
    this.#ports.delete(key);
    this.#ports.set(key, { left: filled < 1 ? filled : filled - 1, at: now });
    if (this.#ports.size > MOST) this.#ports.delete(this.#ports.keys().next().value ?? "");
    return filled >= 1;
  }
}
