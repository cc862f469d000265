/** Keys in etcd whose values cannot be parsed, and the requests and names that each of them blocks. */
import { isNexKey } from "../store/keys.ts";
import { isOwnKey } from "../store/records.ts";
import type { Mirror } from "../store/types.ts";

/** A key in etcd that is not understood, or whose value is not, with the reason. */
export interface UnreadableKey {
  readonly key: string;
  readonly reason: string;
}

/**
 * The keys that a mirror could not read, as plans and dhcpd ask of them. All answers are derived in one pass when the keys
 * change, since dhcpd asks for every message.
 */
export class UnreadableKeys {
  #derivedAt = -1;
  #misread: UnreadableKey | undefined;
  #foreign: UnreadableKey | undefined;
  #lastParts = new Set<string>();

  constructor(private readonly mirror: Pick<Mirror<unknown>, "state">) {}

  get size(): number {
    return this.mirror.state.quarantined.size;
  }

  /**
   * The first of Nex's keys. While there is one, nothing is swept or taken over: a claim that seems stale may belong to what
   * the key holds.
   */
  get misread(): UnreadableKey | undefined {
    this.#derive();
    return this.#misread;
  }

  /**
   * The first of Nex's keys that is of an unknown layout, or not taken over yet. While there is one, nothing is written at
   * all: it may hold any address. A value under a key of ours that cannot be read stops only what depends on it.
   */
  get foreign(): UnreadableKey | undefined {
    this.#derive();
    return this.#foreign;
  }

  /** True for a key whose value cannot be read: nothing that depends on it can be committed. */
  has(key: string): boolean {
    return this.mirror.state.quarantined.has(key);
  }

  /** True when a key of the MAC's cannot be read. */
  hasKeyOf(mac: string): boolean {
    this.#derive();
    return this.#lastParts.has(mac);
  }

  #derive(): void {
    const { quarantined } = this.mirror.state;
    if (quarantined.changes === this.#derivedAt) return;
    this.#derivedAt = quarantined.changes;
    this.#misread = this.#foreign = undefined;
    this.#lastParts = new Set();
    for (const [key, reason] of quarantined) {
      this.#lastParts.add(key.slice(key.lastIndexOf("/") + 1));
      if (!isNexKey(key)) continue;
      this.#misread ??= { key, reason };
      if (!isOwnKey(key)) this.#foreign ??= { key, reason };
    }
  }
}
