/** An etcd with its past, as far as the history asks for it: watches of old revisions, keys as they were, and mirrors. */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import * as etcd from "../../../proto/gen/etcd.ts";
import type { EtcdConnection } from "../../store/connection.ts";
import type { KeyValue } from "../../store/messages.ts";
import { type NexRecord, nexSchema } from "../../store/records.ts";
import { SandKeys } from "../../store/sand_keys.ts";
import { type SandRecord, sandSchema } from "../../store/sand_records.ts";
import type { Change, Schema } from "../../store/types.ts";
import type { FollowedRecords } from "./family.ts";
import { History } from "./history.ts";

const nothing: etcd.WatchResponse = {
  header: { clusterId: 1n, memberId: 1n, revision: 1n },
  watchId: 1n,
  created: false,
  canceled: false,
  compactRevision: 0n,
  cancelReason: "",
  fragment: false,
  events: [],
};

interface Written {
  readonly revision: number;
  readonly key: string;
  /** Undefined: it was removed. */
  readonly value: string | undefined;
}

/** Values as JSON, by key; undefined: the key is removed. */
export type Values = Readonly<Record<string, unknown>>;

/** An etcd in memory that keeps its whole history. */
export class FakeEtcd {
  readonly log: Written[] = [];
  revision = 1;
  compacted = 0;
  /** How often it was watched from which revision, and how many keys were read. */
  readonly watched: number[] = [];
  read = 0;
  /** True: a watch is not answered. */
  hangs = false;
  readonly #followers: ((changes: readonly Written[]) => void)[] = [];

  /** Writes in one transaction. */
  write(values: Values): number {
    const revision = ++this.revision;
    const written = Object.entries(values).map(([key, value]): Written => ({
      revision,
      key,
      value: value === undefined || typeof value === "string" ? value : JSON.stringify(value),
    }));
    this.log.push(...written);
    for (const follower of this.#followers) follower(written);
    return revision;
  }

  compact(revision: number): void {
    this.compacted = revision;
  }

  /** The key as it was. */
  at(key: string, revision: number): KeyValue | undefined {
    let found: KeyValue | undefined;
    for (const { key: its, value, revision: modRevision } of this.log) {
      if (its !== key || modRevision > revision) continue;
      found = value === undefined ? undefined : {
        key,
        value: new TextEncoder().encode(value),
        createRevision: found?.createRevision ?? modRevision,
        modRevision,
      };
    }
    return found;
  }

  /** A process that begins to follow it now. */
  async history(now: () => number = Date.now, attemptMs?: number, onAttempt = () => {}): Promise<History> {
    const history = new History({
      names: this.#follow<NexRecord>(nexSchema),
      overlays: this.#follow<SandRecord>(sandSchema()),
      keys: new SandKeys(),
      connection: this.connection,
      now,
      onAttempt,
      ...attemptMs !== undefined && { attemptMs },
    });
    // Its mirrors have listed what is there.
    await new Promise((resolve) => setTimeout(resolve));
    return history;
  }

  readonly connection = {
    range: ({ key, revision = 0 }: { key: string; revision?: number }) => {
      this.read++;
      if (revision < this.compacted) return Promise.reject(new Error("compacted"));
      const kv = this.at(key, revision);
      return Promise.resolve({ header: {}, kvs: kv ? [kv] : [], more: false, count: kv ? 1 : 0 });
    },
    failed: () => {},
    watch: () => Promise.resolve({ member: {}, stream: this.#stream() }),
  } as unknown as EtcdConnection;

  #stream() {
    const send = (response: Partial<etcd.WatchResponse>) =>
      queueMicrotask(() =>
        stream.emit("data", etcd.WatchResponse.encode({ ...nothing, ...response }).finish())
      );
    const stream = Object.assign(new EventEmitter(), {
      cancel() {},
      write: (bytes: Uint8Array) => {
        const { createRequest } = etcd.WatchRequest.decode(bytes),
          from = Number(createRequest?.startRevision);
        this.watched.push(from);
        if (this.hangs) return;
        if (from < this.compacted) {
          return send({ canceled: true, compactRevision: BigInt(this.compacted) });
        }
        send({ created: true });
        const events = this.log.filter(({ revision }) => revision >= from).map((
          { key, value, revision },
        ) => ({
          type: value === undefined ? etcd.Event_EventType.DELETE : etcd.Event_EventType.PUT,
          kv: {
            key,
            value: value === undefined ? null : Buffer.from(value),
            createRevision: value === undefined ? 0 : this.at(key, revision)?.createRevision ?? 0,
            modRevision: revision,
          },
        }));
        // In two pieces, as etcd sends what is much.
        const half = events.findIndex(({ kv }) => (kv?.modRevision ?? 0) > (from + this.revision) / 2);
        for (const some of [events.slice(0, half), events.slice(half)]) {
          if (some.length) send({ events: some });
        }
      },
    });
    return stream;
  }

  #follow<T>(schema: Schema<T>): FollowedRecords<T> {
    const entry = (key: string, revision: number) => {
      const kv = this.at(key, revision), isOurs = schema.prefixes.some((prefix) => key.startsWith(prefix));
      const record = kv && isOurs ? schema.parse(key, new TextDecoder().decode(kv.value)) : undefined;
      if (!kv || record === undefined) return undefined;
      return { key, record, createRevision: kv.createRevision, modRevision: kv.modRevision };
    };
    const newest = () => this.revision;
    const state = {
      get revision() {
        return newest();
      },
    };
    return {
      ready: () => Promise.resolve(),
      state: state as FollowedRecords<T>["state"],
      get: (key) => entry(key, this.revision),
      subscribe: (listener) => {
        this.#followers.push((written) => {
          const changes = written.map(({ key, revision }): Change<T> => ({
            key,
            revision,
            before: entry(key, revision - 1),
            after: entry(key, revision),
          })).filter(({ before, after }) => before ?? after);
          if (changes.length) listener(changes);
        });
        return () => {};
      },
    };
  }
}

const MAC = "52:54:00:00:00:06";

/** An endpoint of a network on a host. */
export function endpoint(id: string, host: string, more: Values = {}): Values {
  return {
    id,
    network_id: "n1",
    hostname: host,
    host_ip: "192.0.2.1",
    created_at: "2026-01-02T03:04:05.678901234Z",
    target_netns_path: "",
    overlay_veth_name: "",
    target_veth_name: "",
    target_veth_mac: MAC,
    target_veth_ip: "10.0.0.6/24",
    active: true,
    ...more,
  };
}

/** The key of an endpoint by its id. */
export const endpointKey = (id: string) => `/sc-net/network-endpoints/n1/${id}`;
