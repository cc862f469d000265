/** Limits how many DHCP messages each port of a network may send, so that no machine uses up what others need. */

/** Messages a second, and at once, of one port. */
const RATE = 500, BURST = 1000;
/** The most ports that are remembered; those that were quiet longest are forgotten. */
const MOST = 4096;

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

  /** True when the port may send one more message, which is counted. */
  take(network: string, port: number): boolean {
    const key = `${network} ${port}`, now = this.now();
    const { left = BURST, at = now } = this.#ports.get(key) ?? {};
    const filled = Math.min(BURST, left + (now - at) * RATE / 1000);
    this.#ports.delete(key);
    this.#ports.set(key, { left: filled < 1 ? filled : filled - 1, at: now });
    if (this.#ports.size > MOST) this.#ports.delete(this.#ports.keys().next().value ?? "");
    return filled >= 1;
  }
}
