/**
 * An agent's claim on its host's name. It is a key in etcd under a lease, so that of two machines with one name (a
 * cloned one, say) only the first acts, and the second takes over when the first one's lease has ended.
 */
import { messageOf, Refusal } from "../common/refusal.ts";
import { KeptLease } from "../store/lease.ts";
import { type NameClaimRecord, writeSandRecord } from "../store/sand_records.ts";
import type { SandStore } from "../store/sand_store.ts";
import { abortable, deadline, repeat } from "../common/async.ts";
import type { Guard } from "../store/types.ts";

/** How long a claim outlives an agent that ended without a word, in seconds. */
export const NAME_TTL = 10;
/** How often one that does not have the name tries to get it, in ms; changes of the key are followed besides. */
const AGAIN = 1000;
/** How long a change that was refused waits to hear whose the name is, in ms. */
const PATIENCE = 5000;
/** Others that take the name at the same moment are given so many chances before it is looked at again later. */
const TRIES = 5;

/** Why an agent changes nothing. */
export interface Hold {
  /** As part of a sentence. */
  readonly reason: string;
  readonly fix: string;
  /** True: it ends by itself as soon as etcd has answered, unless a reason that stays is found then. */
  readonly passing?: boolean;
}

/** What tells one run of an agent from all others. */
export interface ClaimIdentity {
  /** Random. */
  readonly start: string;
  /** The kernel's boot id. */
  readonly boot: string;
}

export interface ClaimOptions {
  readonly hostname: string;
  readonly identity: ClaimIdentity;
  /** For those who look for the one that has the name. */
  readonly about: () => { readonly host_ip: string; readonly machine: string };
  /**
   * Locks the agent's state; called again until it has succeeded once. Returns what the kernel calls the lock, or why
   * this agent must not have the name.
   */
  readonly obtain: () => Promise<{ readonly lock: string } | Hold>;
  readonly onHold: (hold: Hold) => void;
  /** The name is this agent's, for the first time or again. `from`: it was taken over from an agent that has ended. */
  readonly onHeld: (from: NameClaimRecord | undefined) => void;
  readonly ttlSeconds?: number;
}

/** True when the agent that put the claim is known to have ended: only one process at a time has the lock. */
export function hasEnded(claim: NameClaimRecord, own: { boot: string; lock: string }): boolean {
  return claim.boot === own.boot && claim.lock === own.lock;
}

/** Tries to get the name from now on, and keeps it. */
export class NameClaim {
  readonly #key: string;
  readonly #lease: KeptLease;
  readonly #first = Promise.withResolvers<void>();
  readonly #stop: (() => void)[];
  #lock: string | undefined;
  /** The claim as it stands in etcd: while its mod revision is this one, the name is ours. */
  #held: { readonly modRevision: number; readonly lease: bigint } | undefined;
  #hold: (Hold & { readonly since: number }) | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #closed = false;

  /** @param store What it writes with is not guarded by the claim itself. */
  constructor(private readonly store: SandStore, private readonly options: ClaimOptions) {
    this.#key = store.keys.nameClaim(options.hostname);
    this.#first.promise.catch(() => {}); // It may come before anybody waits.
    const reason = `whether the name ${options.hostname} is free is not known yet`;
    this.#hold = { reason, fix: "wait, or read its log", passing: true, since: Date.now() };
    this.#lease = new KeptLease(store.connection, {
      ttlSeconds: options.ttlSeconds ?? NAME_TTL,
      onGranted: () => this.#check(),
      onTrouble: () => void this.#check(),
    });
    this.#stop = [
      store.mirror.subscribe((changes) => {
        for (const { key, before, after, revision } of changes) {
          if (key !== this.#key) continue;
          // What the watch tells of a claim that was put again since is over.
          const held = this.#held?.modRevision ?? 0, over = !after && revision < held;
          if (!over || before?.modRevision === held) this.#noticed(after?.modRevision ?? 0);
        }
      }),
      repeat(() => AGAIN, async () => {
        if (this.#hold) await this.#check();
      }),
    ];
  }

  /** Why nothing may be changed, and since when (ms since the epoch); undefined while the name is this agent's. */
  get hold(): (Hold & { readonly since: number }) | undefined {
    return this.#hold;
  }

  /** The guard under which the name is still this agent's. Throws Refusal "unavailable" while it is not. */
  get guard(): Guard {
    if (!this.#held) throw new Refusal("unavailable", this.sentence);
    return { key: this.#key, modRevision: this.#held.modRevision };
  }

  /** Why it is on hold, as a sentence. */
  get sentence(): string {
    const unknown = `whether the name ${this.options.hostname} is still this agent's is not known`;
    return `this host is on hold: ${this.#hold?.reason ?? unknown}`;
  }

  /** Whether etcd is known to keep the claim now; while etcd is away, it may not be, and the agent is not on hold. */
  get live(): boolean {
    return !this.#hold && this.#lease.live;
  }

  /**
   * Resolves when the name is this agent's for the first time. Throws the signal's reason, and Refusal "invalid" for
   * settings or a state that nothing can be done with.
   */
  async first(signal: AbortSignal): Promise<void> {
    await abortable(this.#first.promise, signal);
  }

  /**
   * To be called before anything is made of a change in the store: true while the name is known to be this agent's. When
   * etcd was away for longer than a claim lives, it may be another's by now, and that is asked first.
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
   * etcd has refused a change that was guarded by `guard`, because the claim had another mod revision (0: it was gone).
   * Resolves to whether the name is this agent's all the same: it may have put its claim again, under another lease.
   */
  async keptAfter(guard: Guard, modRevision: number): Promise<boolean> {
    if (this.#held?.modRevision === guard.modRevision) this.#noticed(modRevision);
    if (this.#looking) await deadline(this.#looking, PATIENCE);
    return this.#held !== undefined && this.#held.modRevision !== guard.modRevision && !this.#hold;
  }

  /** Gives the name back, if etcd can be reached. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#stop) stop();
    await this.#looking;
    await this.#lease.close();
  }

  #noticed(modRevision: number): void {
    if (this.#held?.modRevision === modRevision || this.#closed) return;
    if (this.#held && !this.#looking) {
      this.#held = undefined;
      this.#begin({
        reason: `this agent's claim on the name ${this.options.hostname} was taken away in etcd`,
        fix: "wait: it is claimed again unless another has it",
        passing: true,
      });
    }
    void this.#check();
  }

  #begin(hold: Hold): void {
    const { reason } = hold;
    if (this.#hold?.reason === reason) return;
    this.#hold = { ...hold, since: this.#hold?.since ?? Date.now() };
    this.options.onHold(hold);
  }

  /** One look at a time; what comes up during one is looked at after it. Never rejects. */
  #check(): Promise<void> {
    this.#lookAgain = true;
    return this.#looking ??= this.#lookWhileNew().finally(() => this.#looking = undefined);
  }

  async #lookWhileNew(): Promise<void> {
    while (this.#lookAgain && !this.#closed) {
      this.#lookAgain = false;
      try {
        await this.#claim();
      } catch (error) {
        // What is wrong with this host's own settings or files does not pass.
        if (error instanceof Refusal && error.code === "invalid") this.#first.reject(error);
        // While the name is ours, only what comes of a change may be in question: see confirmed().
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
      // Nothing can be held by a lease that may have ended: it is looked at again when there is one.
      if (lease === undefined || !this.#lease.live) return;
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

/** The store with every change guarded by the claim: an agent that has lost its name, and does not know it, changes nothing. */
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
