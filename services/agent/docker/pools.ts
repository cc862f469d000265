import { invalid } from "../../common/refusal.ts";

/**
 * The name of both of our address spaces. For one that is global, engines from 27 on ask for a pool once; for a local
 * one they ask for ever, see {@link AskedPools}.
 */
export const ADDRESS_SPACE = "sand-local";

/** So often an engine may ask for a pool before it uses one, and so long, in ms, before it has forgotten that it did. */
const MOST = 50, LONGEST = 30_000;

/**
 * Pools that Docker has asked for and neither used nor released yet, which is what it does next. It tells no call which
 * network the others were about, and never gives up asking for a pool that it likes better than the one it is given.
 */
export class AskedPools {
  #asked: { readonly network: string; readonly at: number }[] = [];

  /** @param now In ms. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @throws Refusal "invalid" when it asks again and again */
  ask(network: string, range: string): void {
    const at = this.now();
    this.#asked = this.#asked.filter((asked) => at - asked.at < LONGEST);
    if (this.#asked.filter((asked) => asked.network === network).length >= MOST) {
      throw invalid(
        `Pool: Docker asks for another range than ${range} again and again, since a route or a nameserver of this host is in it: add --subnet ${range}`,
      );
    }
    this.#asked.push({ network, at });
  }

  /** @throws Refusal "invalid" when it was another network's pool that was asked for */
  use(network: string): void {
    const at = this.now();
    if (this.release(network)) return;
    const other = this.#asked.findLast((asked) => at - asked.at < LONGEST);
    // After a restart of the agent there is none at all.
    if (!other) return;
    throw invalid(
      `sand-id: --opt says ${network}, and --ipam-opt says ${other.network}: say the same id in both`,
    );
  }

  /** @returns whether it was asked for */
  release(network: string): boolean {
    const index = this.#asked.findIndex((asked) => asked.network === network);
    if (index < 0) return false;
    this.#asked.splice(index, 1);
    return true;
  }
}
