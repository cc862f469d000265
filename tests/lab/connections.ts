/** Connections to etcd that a test can meddle with, and what is done to etcd behind a store's back. */
import { CompactionRequest } from "../../proto/gen/etcd.ts";
import { EtcdConnection, type ListOptions, type Page } from "../../services/store/connection.ts";
import { EtcdMember } from "../../services/store/member.ts";
import type { RawStream } from "../../services/store/raw_stream.ts";
import { decodeWatch } from "../../services/store/messages.ts";

/**
 * Meddles with the watch that a connection opens from now on: it loses every response with an event of one key, as etcd's watch
 * sometimes loses events, and is left unread for a time.
 */
export class MeddledWatch {
  /** How many responses were lost. */
  lost = 0;
  #stream: RawStream | undefined;

  constructor(connection: EtcdConnection, public forget?: string) {
    const watch = connection.watch.bind(connection);
    connection.watch = async () => {
      const { member, stream } = await watch();
      this.#stream = stream;
      const on = stream.on.bind(stream);
      const drop = (listener: (bytes: Uint8Array) => void) => (bytes: Uint8Array) => {
        if (decodeWatch(bytes).events.some(({ kv }) => kv.key === this.forget)) this.lost++;
        else listener(bytes);
      };
      const listen = (name: string, listener: (bytes: Uint8Array) => void) =>
        on(name, name === "data" ? drop(listener) : listener);
      return { member, stream: Object.assign(stream, { on: listen }) };
    };
  }

  /** Reads nothing until {@link resume}: once the connection's window is full, etcd keeps the events to itself. */
  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }
}

/** Its listings can be looked into, held up and falsified. */
export class Listed extends EtcdConnection {
  /** Called with each page before it is handed on; what it returns is handed on. */
  onPage: (page: Page, names: readonly string[]) => Page | Promise<Page> = (page) => page;

  override async *list(names: readonly string[], options?: ListOptions): AsyncGenerator<Page> {
    for await (const page of super.list(names, options)) yield await this.onPage(page, names);
  }
}

/** Forgets what was before the revision. */
export async function compact(endpoint: string, revision: number): Promise<void> {
  const member = new EtcdMember(endpoint, undefined);
  const request = CompactionRequest.encode({ revision: BigInt(revision), physical: true }).finish();
  await member.connect();
  await member.call("/etcdserverpb.KV/Compact", request, 5_000);
  member.close();
}
