/** Opens a store: one connection with a mirror for reads and a committer for writes. */
import type { ChangeStore } from "./change_store.ts";
import { type CommitterOptions, type RefusedWrites, StoreCommitter } from "./commit.ts";
import { EtcdConnection, type EtcdConnectionOptions } from "./connection.ts";
import { type MirrorOptions, StoreMirror } from "./mirror.ts";
import type { Committer, Guard, Schema } from "./types.ts";

export interface StoreOptions<T> extends EtcdConnectionOptions, MirrorOptions, CommitterOptions {
  readonly schema: Schema<T>;
}

/** A process's access to etcd: the mirror to read from, and the committer to write with. */
export interface Store<T> extends ChangeStore<T> {
  readonly connection: EtcdConnection;
  readonly mirror: StoreMirror<T>;
  readonly committer: Committer & {
    /** See {@link StoreCommitter.refused}. */
    readonly refused: RefusedWrites | undefined;
  };
  close(): void;
}

/**
 * Opens the store and starts its mirror; etcd need not be there yet, see {@link StoreMirror.ready}.
 * Throws Refusal for endpoints and certificates that cannot be right.
 */
export function openStore<T>(options: StoreOptions<T>): Store<T> {
  const connection = new EtcdConnection(options);
  const committer = new StoreCommitter(connection, options);
  const mirror = new StoreMirror(connection, options.schema, options);
  return {
    connection,
    committer,
    mirror,
    current: (keys): Promise<Guard[]> =>
      Promise.all(keys.map(async (key) => ({ key, modRevision: await connection.modRevision(key) }))),
    async confirmed(signal) {
      await committer.settled(signal);
      await mirror.confirmed(signal);
    },
    async settled(keys, signal) {
      await committer.settled(signal);
      await mirror.reported(keys, signal);
    },
    close() {
      committer.close();
      mirror.close();
      connection.close();
    },
  };
}
