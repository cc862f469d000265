/** `strand explain`, `get` and `apply` on a host without a process for each. */
import type { Output } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";

/** Runs commands on a host, one at a time, until it is disposed of. */
export class StrandOn implements Disposable {
  readonly #thread = new Worker(new URL("strand_thread.ts", import.meta.url), { type: "module" });

  constructor(host: OverlayHost) {
    this.#thread.postMessage(host.namespace);
  }

  /** What `strand ARGS` prints, and its exit status. */
  run(...args: string[]): Promise<Output> {
    return new Promise((resolve, reject) => {
      this.#thread.onmessage = ({ data }) => resolve(data);
      this.#thread.onerror = ({ message }) => reject(new Error(message));
      this.#thread.postMessage(args);
    });
  }

  [Symbol.dispose](): void {
    this.#thread.terminate();
  }
}
