/**
 * Keeps an agent on hold while etcd may be another store than the one that it has worked with, or while the host's name is
 * another agent's. What it compares with survives a restart in the state file.
 */
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { NameClaim } from "./name_claim.ts";
import { identityFault, type KnownStore, type SeenStore } from "./identity.ts";
import type { StateFile } from "./state_file.ts";

/** The delay after a change until the state file is written, and until it is tried again, in ms. */
const SAVE_AFTER = 2000;

/** The events that {@link StoreGuard} reports, once each time that they begin. */
export interface StoreGuardEvents {
  onHold(reason: string): void;
  /** The state of etcd that was seen cannot be saved on disk. */
  onUnsaved(reason: string): void;
}

/**
 * Decides whether this agent may change anything. etcd must be the store that the agent has worked with so far (see
 * {@link identityFault}): while it may be another one, the agent is on hold, that is, this host's networks stay as they are
 * and nothing is written, until an operator says that etcd is right. The host's name must also be claimed by this agent, see
 * name_claim.ts.
 */
export class StoreGuard {
  #known: Omit<KnownStore, "networks"> | undefined;
  /** Networks that this agent has set up on this host. */
  readonly #networks: Set<string>;
  #fault: string | undefined;
  #since = 0;
  #dirty = false;
  #unsaved: string | undefined;
  /** The timer of the next save; undefined: all is saved, or cannot be saved now. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /**
   * @param see Reads the store's identity as it is now.
   * @param inKernel Networks that the host's kernel has. Where no state file exists yet, the store must know one of these.
   * @param claim The claim on the host's name.
   */
  constructor(
    private readonly file: StateFile,
    private readonly see: () => SeenStore,
    private readonly events: StoreGuardEvents,
    inKernel: Iterable<string> = [],
    private readonly claim?: Pick<NameClaim, "hold" | "sentence" | "confirmed">,
  ) {
    const known = file.load();
    this.#known = known;
    this.#networks = new Set(known?.networks ?? inKernel);
  }

  /** Networks that are set up here. */
  get networks(): ReadonlySet<string> {
    return this.#networks;
  }

  /** Why the state file cannot be written; undefined while it can. */
  get unsaved(): string | undefined {
    return this.#unsaved;
  }

  /** Why this agent may change nothing, and since when (ms since the epoch); undefined while it may. */
  get hold(): { readonly reason: string; readonly since: number } | undefined {
    return this.claim?.hold ?? this.storeHold;
  }

  /** The reason of a hold that etcd has caused; undefined where only the host's name is the reason. */
  get storeHold(): { readonly reason: string; readonly since: number } | undefined {
    return this.#fault === undefined ? undefined : { reason: this.#fault, since: this.#since };
  }

  /**
   * Compares the store with what is known of it; called before a change from etcd is acted on.
   *
   * @param networks The networks that are set up here as etcd itself has just answered, where that is newer than the mirror.
   * @returns whether this agent may act: etcd is the known store, and the host's name is this agent's
   */
  verify(networks?: ReadonlySet<string>): boolean {
    if (this.#fault !== undefined || this.claim?.confirmed() === false) return false;
    const seen = { ...this.see(), ...networks && { networks } };
    const reason = identityFault({ ...this.#known, networks: this.#networks }, seen);
    if (reason !== undefined) {
      this.#beginHold(reason);
      return false;
    }
    const { clusterId, revision } = seen;
    const isNew = this.#known?.revision !== revision;
    this.#known = { clusterId, revision };
    if (isNew) this.#saveLater();
    return true;
  }

  #beginHold(reason: string): void {
    if (this.#fault !== undefined) return;
    this.#fault = reason;
    this.#since = Date.now();
    this.events.onHold(reason);
  }

  /** @throws Refusal "unavailable" while this agent is on hold */
  assertNotHeld(): void {
    if (this.claim?.hold) throw new Refusal("unavailable", this.claim.sentence);
    if (this.#fault === undefined) return;
    throw new Refusal(
      "unavailable",
      `this host is on hold: ${this.#fault}; put etcd right, or release the hold with "strand agent release"`,
    );
  }

  /** Takes the store as it is now for the known one, and ends the hold. */
  release(): void {
    const { clusterId, revision } = this.see();
    this.#known = { clusterId, revision };
    this.#networks.clear();
    this.#fault = undefined;
    this.#dirty = true;
    this.#save();
  }

  /** Records that the network is set up here. */
  joined(network: string): void {
    if (this.#networks.has(network)) return;
    this.#networks.add(network);
    this.#saveLater();
  }

  /** Records that the network is torn down here. It is on disk before this returns, since the caller writes to etcd next. */
  left(network: string): void {
    if (!this.#networks.delete(network)) return;
    // Where it cannot be written now, it is later.
    this.#saveLater();
    this.#saveIfNew();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#saveIfNew();
  }

  /** Schedules a save: changes that come one after another are saved together. */
  #saveLater(): void {
    this.#dirty = true;
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#save();
    }, SAVE_AFTER);
  }

  /** A full disk does not stop the agent: the state file stays as it was, and is written later. */
  #save(): void {
    try {
      this.#saveIfNew();
      this.#unsaved = undefined;
    } catch (error) {
      if (this.#unsaved === undefined) this.events.onUnsaved(messageOf(error));
      this.#unsaved = messageOf(error);
      this.#saveLater();
    }
  }

  #saveIfNew(): void {
    if (!this.#dirty || !this.#known || this.#fault !== undefined) return;
    this.file.save({ ...this.#known, networks: [...this.#networks] });
    this.#dirty = false;
  }
}
