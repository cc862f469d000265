import { messageOf, Refusal } from "../../common/refusal.ts";
import type { NameClaim } from "../name_claim.ts";
import { identityFault, type KnownStore, type SeenStore } from "./identity.ts";
import type { StateFile } from "./state_file.ts";

/** How often what was seen goes to disk, in ms. */
const SAVE_EVERY = 2000;

/** What is told of {@link Trust}, once each time that it begins. */
export interface TrustEvents {
  onDoubt(reason: string): void;
  /** What was seen cannot be kept on disk. */
  onUnsaved(reason: string): void;
}

/**
 * Whether this agent may act. It must believe the store (see {@link identityFault}): while it does not, this host's networks
 * stay as they are, and nothing is written, until an operator says that the store is right. The host's name must also
 * be its own, see name_claim.ts.
 */
export class Trust {
  #known: Omit<KnownStore, "networks"> | undefined;
  /** Networks that are set up here, as far as this agent has seen to it. */
  readonly #networks: Set<string>;
  #doubt: string | undefined;
  #since = 0;
  #dirty = false;
  #unsaved: string | undefined;
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * @param see What the store looks like now.
   * @param inKernel Networks that the host's kernel has: with nothing on disk, they are what the store must know.
   * @param claim On the host's name.
   */
  constructor(
    private readonly file: StateFile,
    private readonly see: () => SeenStore,
    private readonly events: TrustEvents,
    inKernel: Iterable<string> = [],
    private readonly claim?: Pick<NameClaim, "hold" | "sentence" | "confirmed">,
  ) {
    const known = file.load();
    this.#known = known;
    this.#networks = new Set(known?.networks ?? inKernel);
    this.#timer = setInterval(() => this.#keep(), SAVE_EVERY);
  }

  /** Networks that are set up here. */
  get networks(): ReadonlySet<string> {
    return this.#networks;
  }

  /** Why what was seen cannot be kept on disk; undefined while it can. */
  get unsaved(): string | undefined {
    return this.#unsaved;
  }

  /** Why nothing may be changed, and since when (ms since the epoch); undefined while all is well. */
  get doubt(): { readonly reason: string; readonly since: number } | undefined {
    return this.claim?.hold ?? this.storeDoubt;
  }

  /** The same, as far as it is about the store. */
  get storeDoubt(): { readonly reason: string; readonly since: number } | undefined {
    return this.#doubt === undefined ? undefined : { reason: this.#doubt, since: this.#since };
  }

  /**
   * Looks at the store; to be called before anything is made of a change.
   *
   * @param networks Those that are set up here as etcd itself says, where that is newer than what is shown.
   * @returns whether it is believed, and the host's name is this agent's
   */
  look(networks?: ReadonlySet<string>): boolean {
    if (this.#doubt !== undefined || this.claim?.confirmed() === false) return false;
    const seen = { ...this.see(), ...networks && { networks } };
    const reason = identityFault({ ...this.#known, networks: this.#networks }, seen);
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
    this.events.onDoubt(reason);
  }

  /** @throws Refusal "unavailable" while nothing may be changed. */
  assert(): void {
    if (this.claim?.hold) throw new Refusal("unavailable", this.claim.sentence);
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
    this.#keep();
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

  /** A full disk is no reason to end: what is on it is old then, and the next time something newer is tried. */
  #keep(): void {
    try {
      this.#saveIfNew();
      this.#unsaved = undefined;
    } catch (error) {
      if (this.#unsaved === undefined) this.events.onUnsaved(messageOf(error));
      this.#unsaved = messageOf(error);
    }
  }

  #saveIfNew(): void {
    if (!this.#dirty || !this.#known || this.#doubt !== undefined) return;
    this.file.save({ ...this.#known, networks: [...this.#networks] });
    this.#dirty = false;
  }
}
