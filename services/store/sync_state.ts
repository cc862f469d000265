import type { MirrorEvent } from "./mirror_log.ts";
import { unobserved } from "../common/async.ts";

/** Whether a mirror is in sync with etcd: listed and watching. Each change is reported once, not each try. */
export class SyncState {
  #inStep = false;
  #outSince: number | undefined = Date.now();
  #outReason: string | undefined;
  #reported = false;
  #inSync = unobserved<void>();

  constructor(private readonly report: (event: MirrorEvent) => void) {}

  get inStep(): boolean {
    return this.#inStep;
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
  get inSync(): Promise<void> {
    return this.#inSync.promise;
  }

  onInSync(revision: number): void {
    this.#inStep = true;
    this.#outSince = this.#outReason = undefined;
    this.#reported = false;
    this.#inSync.resolve();
    this.report({ kind: "in-step", revision });
  }

  onOutOfSync(reason: string): void {
    if (this.#inStep) this.#inSync = unobserved();
    this.#inStep = false;
    this.#outSince ??= Date.now();
    this.#outReason = reason.replace(/^etcd at .*? cannot be used: /, "");
    if (this.#reported) return;
    this.#reported = true;
    this.report({ kind: "out-of-step", reason });
  }

  /** Refuses whoever waits. */
  close(reason: unknown): void {
    this.#inSync.reject(reason);
  }
}
