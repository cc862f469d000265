/** Remembers which address pools Docker has requested, to notice when it keeps asking for another one than it is given. */
import { invalid } from "../../common/refusal.ts";

/**
 * The name of both address spaces. For a global address space, engines from version 27 on request a pool once; for a
 * local one they repeat the request without end, see {@link PoolRequests}.
 */
export const ADDRESS_SPACE = "sand-local";

/**
 * How often an engine may request a pool before it uses one, and after how long, in ms, an unused request is dropped.
 */
const MOST = 50, LONGEST = 30_000;

/**
 * Pools that Docker has requested and neither used nor released yet, which is the next step. Its calls do not say to
 * which network earlier ones belonged, and it repeats the request for as long as it prefers another pool than the one
 * that it is given.
 */
export class PoolRequests {
  #requests: { readonly network: string; readonly at: number }[] = [];

  /** @param now The time in ms. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @throws Refusal "invalid" when the request is repeated too often */
  request(network: string, range: string): void {
    const at = this.now();
    this.#requests = this.#requests.filter((request) => at - request.at < LONGEST);
    if (this.#requests.filter((request) => request.network === network).length >= MOST) {
      throw invalid(
        `Pool: Docker asks for another range than ${range} again and again, since a route or a nameserver of this host ` +
          `is in it: add --subnet ${range}`,
      );
    }
    this.#requests.push({ network, at });
  }

  /** @throws Refusal "invalid" when the pool of another network was requested */
  use(network: string): void {
    const at = this.now();
    if (this.release(network)) return;
    const other = this.#requests.findLast((request) => at - request.at < LONGEST);
    // After a restart of the agent no request is known.
    if (!other) return;
    throw invalid(
      `sand-id: --opt says ${network}, and --ipam-opt says ${other.network}: say the same id in both`,
    );
  }

  /** @returns whether the pool was requested */
  release(network: string): boolean {
    const index = this.#requests.findIndex((request) => request.network === network);
    if (index < 0) return false;
    this.#requests.splice(index, 1);
    return true;
  }
}
