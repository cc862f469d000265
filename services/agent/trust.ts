import { Refusal } from "../common/refusal.ts";
import { doubtOf, type Known, type Seen } from "./doubt.ts";
import type { StateFile } from "./state_file.ts";

/** How often what was seen goes to disk, in ms. */
const SAVE_EVERY = 2000;

/**
 * Whether the store is believed: see {@link doubtOf}. While it is not, this host's networks stay as they are, and
 * nothing is written, until somebody says that the store is right.
 */
export class Trust {
  #known: Omit<Known, "networks"> | undefined;
  /** Networks that are set up here, as far as this agent has seen to it. */
  readonly #networks: Set<string>;
  #doubt: string | undefined;
  #since = 0;
  #dirty = false;
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * @param see What the store looks like now.
   * @param onDoubt Told once when the doubt begins, with the reason.
   */
  constructor(
    private readonly file: StateFile,
    private readonly see: () => Seen,
    private readonly onDoubt: (reason: string) => void,
  ) {
    const known = file.load();
    this.#known = known;
    this.#networks = new Set(known?.networks);
    this.#timer = setInterval(() => this.#saveIfNew(), SAVE_EVERY);
  }

  /** Why the store is not believed, and since when (ms since the epoch); undefined while it is. */
  get doubt(): { readonly reason: string; readonly since: number } | undefined {
    return this.#doubt === undefined ? undefined : { reason: this.#doubt, since: this.#since };
  }

  /** Looks at the store; to be called before anything is made of a change. @returns whether it is believed */
  look(): boolean {
    if (this.#doubt !== undefined) return false;
    const seen = this.see();
    const reason = doubtOf(this.#known && { ...this.#known, networks: this.#networks }, seen);
    if (reason !== undefined) {
      this.begin(reason);
      return false;
    }
    const { clusterId, revision } = seen;
    if (this.#known?.revision !== revision) this.#dirty = true;
    this.#known = { clusterId, revision };
    return true;
  }

  /** Begins to doubt. */
  begin(reason: string): void {
    if (this.#doubt !== undefined) return;
    this.#doubt = reason;
    this.#since = Date.now();
    this.onDoubt(reason);
  }

  /** @throws Refusal "unavailable" while the store is in doubt. */
  assert(): void {
    if (this.#doubt === undefined) return;
    throw new Refusal(
      "unavailable",
      `this host is on hold: ${this.#doubt}; put etcd right, or release the hold with "strand agent release"`,
    );
  }

  /** Believes the store as it is now. */
  release(): void {
    const { clusterId, revision } = this.see();
    this.#known = { clusterId, revision };
    this.#networks.clear();
    this.#doubt = undefined;
    this.#dirty = true;
    this.#saveIfNew();
  }

  /** The network is set up here. */
  joined(network: string): void {
    if (this.#networks.has(network)) return;
    this.#networks.add(network);
    this.#dirty = true;
  }

  /** The network is torn down here; on disk before this returns, since the store is told next. */
  left(network: string): void {
    if (!this.#networks.delete(network)) return;
    this.#dirty = true;
    this.#saveIfNew();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#saveIfNew();
  }

  #saveIfNew(): void {
    if (!this.#dirty || !this.#known || this.#doubt !== undefined) return;
    this.file.save({ ...this.#known, networks: [...this.#networks] });
    this.#dirty = false;
  }
}
