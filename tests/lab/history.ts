/** What became of each key since etcd's first revision, as its watch tells it; it shares nothing with a mirror. */
import { newPart } from "../../services/store/followed_parts.ts";
import { EtcdConnection } from "../../services/store/connection.ts";
import type { WatchEvent } from "../../services/store/messages.ts";
import { Watch } from "../../services/store/watch.ts";
import { until } from "./until.ts";

/** Every event under a prefix that ends in a slash, up to the newest of `last`, a key under it that stands in etcd. */
export async function historyOf(endpoint: string, prefix: string, last: string): Promise<WatchEvent[]> {
  const connection = new EtcdConnection({ endpoints: [endpoint] });
  try {
    const { clusterId } = await connection.head(), end = await connection.modRevision(last);
    const events: WatchEvent[] = [];
    const watch = await Watch.open(connection, clusterId, {
      created: () => {},
      events: (_, some) => void events.push(...some),
    });
    watch.add(newPart(prefix));
    const stop = Promise.withResolvers<never>(), running = watch.run(stop.promise).catch(() => {});
    await until("etcd's history is read", (see) => see(events.at(-1)?.kv.modRevision ?? 0) >= end);
    stop.reject(new Error("read"));
    await running;
    return events;
  } finally {
    connection.close();
  }
}
