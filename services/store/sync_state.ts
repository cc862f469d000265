import type { MirrorEvent } from "./mirror_log.ts";
import { unobserved } from "../common/async.ts";

/** Whether a mirror is in sync with etcd: listed and watching. Each change is reported once, not each try. */
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

  /** Why it is out of sync; undefined while it is not, and before etcd was asked for the first time. */
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

  /** Rejects what waits for {@link whenInSync}. */
  close(reason: unknown): void {
    this.#whenInSync.reject(reason);
  }
}
