/** An etcd's keys through its HTTP gateway: a look, and a hand, that shares nothing with services/store. */
import { requestIn } from "./http_in.ts";

/** Keys and their values as text. */
export type Records = ReadonlyMap<string, string>;

interface Found {
  readonly kvs?: readonly { readonly key: string; readonly value?: string }[];
  readonly header: { readonly revision: string; readonly cluster_id: string };
}

/** What a process has as long as it lives: its claim on a name, what it has repaired, and its fence. */
const LIVING = /\/strand\/(names|repairs|fence)\//;

export class EtcdKv {
  constructor(private readonly namespace: number, private readonly hostname: string) {}

  /** Every key that begins so, without what comes and goes with a process, unless that is asked for by its prefix. */
  async under(prefix: string): Promise<Records> {
    const { kvs = [] } = await this.#range(prefix);
    const all = kvs.map(({ key, value = "" }) => [text(key), text(value)] as const);
    return new Map(all.filter(([key]) => LIVING.test(prefix) || !LIVING.test(key)));
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.under(key)).get(key);
  }

  /** The store's newest revision. */
  async revision(): Promise<number> {
    return Number((await this.#range("/none")).header.revision);
  }

  /** Writes what `values` has, removes what is undefined there, in one transaction. */
  async write(values: Readonly<Record<string, string | undefined>>): Promise<void> {
    const success = Object.entries(values).map(([key, value]) =>
      value === undefined
        ? { requestDeleteRange: { key: base64(key) } }
        : { requestPut: { key: base64(key), value: base64(value) } }
    );
    await this.#post("/v3/kv/txn", { success });
  }

  async removeUnder(prefix: string): Promise<void> {
    await this.#post("/v3/kv/deleterange", span(prefix));
  }

  /** Forgets what was before the newest revision. */
  async compact(): Promise<void> {
    await this.#post("/v3/kv/compaction", { revision: `${await this.revision()}`, physical: true });
  }

  /** Has etcd refuse to write, as one without room does, until {@link disarm}. */
  async alarm(): Promise<void> {
    await this.#post("/v3/maintenance/alarm", { action: "ACTIVATE", alarm: "NOSPACE" });
  }

  /** Ends every alarm, like that of an etcd without room. */
  async disarm(): Promise<void> {
    const { alarms = [] } = await this.#post("/v3/maintenance/alarm", { action: "GET" }) as {
      alarms?: object[];
    };
    for (const alarm of alarms) await this.#post("/v3/maintenance/alarm", { action: "DEACTIVATE", ...alarm });
  }

  /** For how many whole seconds a lease lives when nothing keeps it alive; 0 or less: it has ended. */
  async secondsLeft(lease: bigint): Promise<number> {
    const { TTL } = await this.#post("/v3/lease/timetolive", { ID: `${lease}` }) as { TTL?: string };
    return Number(TTL ?? 0);
  }

  async #range(prefix: string): Promise<Found> {
    return await this.#post("/v3/kv/range", span(prefix)) as Found;
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const answer = await requestIn(this.namespace, { hostname: this.hostname, port: 2379 }, {
      method: "POST",
      path,
      body: JSON.stringify(body),
    });
    if (answer.status !== 200) throw new Error(`etcd, ${path}: ${answer.body}`);
    return JSON.parse(answer.body);
  }
}

function span(prefix: string): { key: string; range_end: string } {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { key: base64(prefix), range_end: base64(prefix.slice(0, -1) + String.fromCharCode(last + 1)) };
}

function base64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

function text(base64: string): string {
  return new TextDecoder().decode(Uint8Array.fromBase64(base64));
}
