/**
 * An agent's claim on its host's name. It is a key in etcd under a lease, so that of two machines with one name (a
 * cloned one, say) only the first acts, and the second takes over when the first one's lease has ended.
 */
import { messageOf, Refusal } from "../../common/refusal.ts";
import { KeptLease } from "../../store/lease.ts";
import { type NameClaimRecord, writeSandRecord } from "../../store/sand_records.ts";
import type { SandStore } from "../../store/sand_store.ts";
import { abortable, deadline, delay, repeat } from "../../common/async.ts";
import type { Guard } from "../../store/types.ts";

/** The time to live of the claim's lease, in seconds: how long a claim outlives an agent that crashed. */
export const NAME_TTL = 10;
/** How often an agent without the name tries to claim it, in ms; changes of the key in etcd are followed as well. */
const RETRY_MS = 1000;
/** How long a change whose guard on the claim failed, or a release, waits until the claim's state is known, in ms. */
const PATIENCE = 5000;
/** How often such a wait looks at the claim, in ms. */
const LOOK_EVERY = 50;
/** How often a claim is tried at once when another agent takes the name at the same moment. */
const TRIES = 5;

/** The reason why an agent changes nothing. */
export interface Hold {
  /** As part of a sentence. */
  readonly reason: string;
  readonly fix: string;
  /** True: the hold ends by itself when etcd answers, unless a lasting reason is found then. */
  readonly passing?: boolean;
}

/** Identifies one run of an agent. */
export interface ClaimIdentity {
  /** Random. */
  readonly start: string;
  /** The kernel's boot id. */
  readonly boot: string;
}

export interface ClaimOptions {
  readonly hostname: string;
  readonly identity: ClaimIdentity;
  /** Stored in the claim, so that operators can find the agent that has the name. */
  readonly about: () => { readonly host_ip: string; readonly machine: string; readonly version: string };
  /**
   * Locks the agent's state file; called repeatedly until it has succeeded once. Returns the kernel's name for the
   * lock, or why this agent must not have the name.
   */
  readonly obtain: () => Promise<{ readonly lock: string } | Hold>;
  readonly onHold: (hold: Hold) => void;
  /**
   * Called when the name is claimed by this agent, for the first time or again. `from`: the claim of an agent that
   * has ended, which this one took over.
   */
  readonly onHeld: (from: NameClaimRecord | undefined) => void;
  readonly ttlSeconds?: number;
}

/** True when the agent that wrote the claim is known to have ended: only one process at a time can hold the lock. */
export function hasEnded(claim: NameClaimRecord, own: { boot: string; lock: string }): boolean {
  return claim.boot === own.boot && claim.lock === own.lock;
}

/** Claims the name, and keeps the claim alive by its lease. */
export class NameClaim {
  readonly #key: string;
  readonly #lease: KeptLease;
  readonly #first = Promise.withResolvers<void>();
  readonly #unsubscribe: () => void;
  /** Ends the tries to claim the name, which go on while it is not claimed. */
  #endTries: (() => void) | undefined;
  #lock: string | undefined;
  /** The claim in etcd; it is valid while the key's mod revision is this one. */
  #held: { readonly modRevision: number; readonly lease: bigint } | undefined;
  #hold: (Hold & { readonly since: number }) | undefined;
  #looking: Promise<void> | undefined;
  #compareAgain = false;
  #closed = false;

  /** @param store Its committer must not be guarded by the claim itself. */
  constructor(private readonly store: SandStore, private readonly options: ClaimOptions) {
    this.#key = store.keys.nameClaim(options.hostname);
    this.#first.promise.catch(() => {}); // It may reject before first() is called.
    const reason = `whether the name ${options.hostname} is free is not known yet`;
    this.#hold = { reason, fix: "wait, or read its log", passing: true, since: Date.now() };
    this.#lease = new KeptLease(store.connection, {
      ttlSeconds: options.ttlSeconds ?? NAME_TTL,
      onGranted: () => this.#check(),
      onTrouble: () => void this.#check(),
    });
    this.#unsubscribe = store.mirror.subscribe((changes) => {
      for (const { key, before, after, revision } of changes) {
        if (key !== this.#key) continue;
        // An event about a claim that this agent has written again since is outdated.
        const held = this.#held?.modRevision ?? 0, over = !after && revision < held;
        if (!over || before?.modRevision === held) this.#noticed(after?.modRevision ?? 0);
      }
    });
    this.#keepTrying();
  }

  /**
   * Why nothing may be changed, and since when (ms since the epoch); undefined while the name is claimed by this
   * agent.
   */
  get hold(): (Hold & { readonly since: number }) | undefined {
    return this.#hold;
  }

  /**
   * The guard that holds while the name is still claimed by this agent. Throws Refusal "unavailable" while it is not.
   */
  get guard(): Guard {
    if (!this.#held) throw new Refusal("unavailable", this.sentence);
    return { key: this.#key, modRevision: this.#held.modRevision };
  }

  /** The lease of the claim: a key under it is there as long as this agent runs. Undefined while the name is not claimed. */
  get lease(): bigint | undefined {
    return this.#held?.lease;
  }

  /** The reason for the hold, as a sentence. */
  get sentence(): string {
    const unknown = `whether the name ${this.options.hostname} is still this agent's is not known`;
    return `this host is on hold: ${this.#hold?.reason ?? unknown}`;
  }

  /**
   * True while the lease is known to be alive. While etcd is out of reach it may not be, and the agent is not on hold
   * for that.
   */
  get live(): boolean {
    return !this.#hold && this.#lease.live;
  }

  /**
   * Resolves when the name is claimed by this agent for the first time. Throws the signal's reason, and Refusal
   * "invalid" when settings or state file are wrong.
   */
  async first(signal: AbortSignal): Promise<void> {
    await abortable(this.#first.promise, signal);
  }

  /**
   * Called before a change from etcd is acted on. Returns true while the name is known to be claimed by this agent.
   * When etcd was out of reach for longer than the lease lives, another agent may have the name, so etcd is asked
   * first.
   */
  confirmed(): boolean {
    if (this.#hold) return false;
    if (this.#lease.live) return true;
    this.#begin({
      reason: `whether the name ${this.options.hostname} is still this agent's is not known yet: ` +
        "its claim could not be kept alive in time",
      fix: "wait until etcd has answered",
      passing: true,
    });
    void this.#check();
    return false;
  }

  /**
   * Called when etcd refused a change because the claim had another mod revision (0: it was gone). Resolves to
   * whether this agent still has the name: it may have written its claim again under another lease.
   */
  async keptAfter(guard: Guard, modRevision: number): Promise<boolean> {
    if (this.#held?.modRevision === guard.modRevision) this.#noticed(modRevision);
    const hasOther = () => this.#held !== undefined && this.#held.modRevision !== guard.modRevision;
    if (!hasOther()) await this.settle();
    return hasOther() && !this.#hold;
  }

  /**
   * Resolves once etcd has answered whether this agent has the name, or after 5 s. Where the claim is gone with its
   * lease, as in another etcd, that is when it has been written again under a new one.
   */
  async settle(signal?: AbortSignal): Promise<void> {
    const end = performance.now() + PATIENCE;
    await deadline(this.#check(), PATIENCE);
    while (this.#hold?.passing && !this.#closed && performance.now() < end) await delay(LOOK_EVERY, signal);
  }

  /** Releases the name, if etcd can be reached. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#endTries?.();
    await this.#looking;
    await this.#lease.close();
  }

  #noticed(modRevision: number): void {
    if (this.#held?.modRevision === modRevision || this.#closed) return;
    if (this.#held && !this.#looking) this.#isRemoved();
    void this.#check();
  }

  #isRemoved(): void {
    this.#held = undefined;
    this.#begin({
      reason: `this agent's claim on the name ${this.options.hostname} was removed in etcd`,
      fix: "wait: it is claimed again unless another has it",
      passing: true,
    });
  }

  #begin(hold: Hold): void {
    const { reason } = hold;
    if (this.#hold?.reason === reason) return;
    this.#hold = { ...hold, since: this.#hold?.since ?? Date.now() };
    this.#keepTrying();
    this.options.onHold(hold);
  }

  #keepTrying(): void {
    if (!this.#closed) this.#endTries ??= repeat(() => RETRY_MS, () => this.#check());
  }

  /** Runs one check at a time; a check requested during one runs after it. Never rejects. */
  #check(): Promise<void> {
    this.#compareAgain = true;
    return this.#looking ??= this.#lookWhileNew().finally(() => {
      this.#looking = undefined;
      // One may have been requested at the very end of the last.
      if (this.#compareAgain && !this.#closed) void this.#check();
    });
  }

  async #lookWhileNew(): Promise<void> {
    while (this.#compareAgain && !this.#closed) {
      this.#compareAgain = false;
      try {
        await this.#claim();
      } catch (error) {
        // Wrong settings or files of this host do not pass by themselves.
        if (error instanceof Refusal && error.code === "invalid") this.#first.reject(error);
        // While the name is claimed, etcd being away is no reason for a hold; see confirmed().
        if (this.#held) continue;
        this.#begin({
          reason: `the name ${this.options.hostname} cannot be claimed: ${messageOf(error)}`,
          fix: "put etcd right; it is tried again",
          passing: true,
        });
      }
    }
  }

  async #claim(): Promise<void> {
    const { options, store } = this, { hostname, identity } = options;
    if (this.#lock === undefined) {
      const obtained = await options.obtain();
      if ("reason" in obtained) return this.#begin(obtained);
      this.#lock = obtained.lock;
    }
    const own = { ...identity, lock: this.#lock };
    for (let tries = 0; tries < TRIES; tries++) {
      const { modRevision, record } = await store.nameClaim(hostname);
      const lease = this.#lease.id;
      // A lease that may have expired cannot hold the name: the check is repeated when there is a new one.
      if (lease === undefined || !this.#lease.live) {
        if (this.#held && this.#held.modRevision !== modRevision) this.#isRemoved();
        return;
      }
      if (record?.start === identity.start && record.lease === lease.toString(16)) {
        return this.#take(modRevision, lease, undefined);
      }
      if (record && record.start !== identity.start && !hasEnded(record, own)) {
        this.#held = undefined;
        return this.#begin(heldBy(hostname, record));
      }
      const since = new Date().toISOString();
      const value = writeSandRecord({ ...own, lease: lease.toString(16), since, ...options.about() });
      const outcome = await store.committer.commit({
        guards: [{ key: this.#key, modRevision }],
        ops: [{ put: this.#key, value, lease }],
      });
      if (outcome.committed) return this.#take(outcome.revision, lease, record);
    }
  }

  #take(modRevision: number, lease: bigint, from: NameClaimRecord | undefined): void {
    this.#held = { modRevision, lease };
    if (!this.#hold) return;
    this.#hold = undefined;
    this.#endTries?.();
    this.#endTries = undefined;
    this.#first.resolve();
    this.options.onHeld(from?.start === this.options.identity.start ? undefined : from);
  }
}

function heldBy(hostname: string, { since, host_ip: ip, machine, boot }: NameClaimRecord): Hold {
  const where = [
    ip && `VTEP ${ip}`,
    machine && `machine ${machine}`,
    `boot ${boot.slice(0, 8)}`,
  ].filter(Boolean).join(", ");
  return {
    reason: `the name ${hostname} is held by another agent since ${since} (${where})`,
    fix: "give each host a name of its own (PEER_HOSTNAME); if that agent is gone, " +
      `its claim ends ${NAME_TTL} s after it, and this one goes on by itself`,
  };
}

/**
 * Returns the store with every change guarded by the claim, so that an agent which has lost its name without knowing
 * it changes nothing.
 */
export function guardedBy(claim: NameClaim, store: SandStore): SandStore {
  const guarded =
    (commit: SandStore["committer"]["commit"]): SandStore["committer"]["commit"] => async (plan) => {
      const guard = claim.guard;
      const outcome = await commit({ ...plan, guards: [...plan.guards, guard] });
      if (outcome.committed) return outcome;
      const now = outcome.current.find(({ key }) => key === guard.key)?.modRevision;
      if (now !== undefined && now !== guard.modRevision) {
        if (!await claim.keptAfter(guard, now)) throw new Refusal("unavailable", claim.sentence);
      }
      return { committed: false, current: outcome.current.filter(({ key }) => key !== guard.key) };
    };
  const { committer } = store;
  return {
    ...store,
    committer: {
      commit: guarded((plan) => committer.commit(plan)),
      commitGrouped: guarded((plan) => committer.commitGrouped(plan)),
      get refused() {
        return committer.refused;
      },
    },
  };
}
