/**
 * Reads the whole history of an etcd: every transaction from revision 1 on, through etcd's own HTTP gateway and curl.
 * Nothing here shares code with services/store, because what is checked from it is what that code wrote.
 */
import { type LabHost, Process } from "../../lab/host.ts";

/** One key as a transaction left it; `value` is undefined for a key that was removed. */
export interface Written {
  readonly key: string;
  readonly value: string | undefined;
  /** True when the key did not exist before. */
  readonly created: boolean;
}

/** Everything that was written at one revision. */
export interface Transaction {
  readonly revision: number;
  readonly writes: readonly Written[];
}

interface WatchEvent {
  readonly type?: "DELETE";
  readonly kv: {
    readonly key: string;
    readonly value?: string;
    readonly mod_revision: string;
    readonly version?: string;
  };
}

interface WatchAnswer {
  readonly result?: {
    readonly events?: readonly WatchEvent[];
    readonly canceled?: boolean;
    readonly compact_revision?: string;
  };
  readonly error?: { readonly message: string };
}

/**
 * The transactions from revision 1 up to `last`, in order.
 *
 * @param host From where etcd is reached.
 * @param client etcd's client URL, like `http://10.98.0.1:2379`.
 * @param last A revision at which something was written.
 * @throws Error when etcd has compacted a part of it away, or does not show it in time.
 */
export async function recordHistory(host: LabHost, client: string, last: number): Promise<Transaction[]> {
  const byRevision = new Map<number, Written[]>();
  const complete = Promise.withResolvers<void>();
  complete.promise.catch(() => {}); // It may fail before it is awaited.
  const all = { key: "AA==", range_end: "AA==", start_revision: "1" };
  const curl = new Process(
    host.inside([
      ...["curl", "--silent", "--no-buffer", "--max-time", "300"],
      ...["--data", JSON.stringify({ create_request: all }), `${client}/v3/watch`],
    ]),
    {
      onLine(line, stream) {
        if (stream === "stderr") return complete.reject(new Error(line));
        const { result, error } = JSON.parse(line) as WatchAnswer;
        if (error || result?.canceled) {
          return complete.reject(new Error(`etcd's watch ended: ${error?.message ?? line}`));
        }
        for (const { type, kv } of result?.events ?? []) {
          const revision = Number(kv.mod_revision);
          const writes = byRevision.get(revision) ?? [];
          byRevision.set(revision, writes);
          writes.push({
            key: text(kv.key),
            value: type === "DELETE" ? undefined : text(kv.value ?? ""),
            created: kv.version === "1",
          });
          if (revision >= last) complete.resolve();
        }
      },
    },
  );
  try {
    curl.ended.then(() => complete.reject(new Error(`curl ended before revision ${last}: ${curl.tail(3)}`)));
    await complete.promise;
  } finally {
    await curl.stop();
  }
  return [...byRevision].sort(([a], [b]) => a - b).map(([revision, writes]) => ({ revision, writes }));
}

function text(base64: string): string {
  return new TextDecoder().decode(Uint8Array.fromBase64(base64));
}
