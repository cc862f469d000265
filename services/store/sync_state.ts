/** The state of a mirror: in sync with etcd, or out of sync since a time and for a reason. */
import type { MirrorEvent } from "./mirror_log.ts";
import { unobserved } from "../common/async.ts";

/** The state of a mirror: in sync with etcd means listed and watching. Each change is reported once, not each attempt. */
export class SyncState {
  #synced = false;
  #outSince: number | undefined = Date.now();
  #outReason: string | undefined;
  #reported = false;
  #whenInSync = unobserved<void>();

  constructor(private readonly report: (event: MirrorEvent) => void) {}

  get inSync(): boolean {
    return this.#synced;
  }

  /** In ms since the epoch; undefined while in sync. */
  get outSince(): number | undefined {
    return this.#outSince;
  }

  /** The reason why it is out of sync; undefined while it is in sync, and before the first request to etcd. */
  get outReason(): string | undefined {
    return this.#outReason;
  }

  /** Resolved while in sync. */
  get whenInSync(): Promise<void> {
    return this.#whenInSync.promise;
  }

  onInSync(revision: number): void {
    this.#synced = true;
    this.#outSince = this.#outReason = undefined;
    this.#reported = false;
    this.#whenInSync.resolve();
    this.report({ kind: "in-sync", revision });
  }

  onOutOfSync(reason: string): void {
    if (this.#synced) this.#whenInSync = unobserved();
    this.#synced = false;
    this.#outSince ??= Date.now();
    this.#outReason = reason.replace(/^etcd at .*? cannot be used: /, "");
    if (this.#reported) return;
    this.#reported = true;
    this.report({ kind: "out-of-sync", reason });
  }

  /** Rejects {@link whenInSync} for the callers that wait for it. */
  close(reason: unknown): void {
    this.#whenInSync.reject(reason);
  }
}
