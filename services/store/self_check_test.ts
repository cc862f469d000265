import assert from "node:assert/strict";
import type { EtcdConnection } from "./connection.ts";
import { selfCheck } from "./self_check.ts";

Deno.test("a self-check of very many keys finds what is gone and what is new under each prefix, and nothing else", async () => {
  const prefixes = ["/a/", "/b/", "/c"], COUNT = 60_000;
  const kv = (key: string, modRevision = 1) => ({
    key,
    modRevision,
    value: new Uint8Array(),
    createRevision: 1,
  });
  const listed = [
    Array.from({ length: COUNT }, (_, i) => kv(`/a/${i}`)),
    [...Array.from({ length: COUNT }, (_, i) => kv(`/b/${i}`)), kv("/b/new")],
    [kv("/c", 2)],
  ];
  const all = new Map(listed.flat().map(({ key, modRevision }) => [key, modRevision]));
  const shown = new Map([...all, ["/a/gone", 1], ["/b/gone", 1], ["/other/x", 1], ["/a/late", 9]]);
  shown.delete("/b/new");
  shown.set("/c", 1);
  const requested: string[] = [];
  const connection = {
    async *list() {
      for (const [index, kvs] of listed.entries()) {
        const header = { clusterId: 1n, revision: 5 };
        yield { index, header, kvs: kvs.slice(0, 1000) };
        yield await Promise.resolve({ index, header, kvs: kvs.slice(1000) });
      }
    },
    modRevision(key: string) {
      requested.push(key);
      return Promise.resolve(all.get(key) ?? 0);
    },
    range: ({ key }: { key: string }) => Promise.resolve({ kvs: [kv(key)] }),
  } as unknown as EtcdConnection;
  const check = await selfCheck(connection, prefixes, {
    version: (key) => shown.get(key) ?? 0,
    keys: () => shown.keys(),
    followed: (key) => prefixes.find((prefix) => key.startsWith(prefix)),
    watchable: () => Promise.resolve(true),
  }, 1);
  assert.deepEqual(check, { missed: 4, restored: false, revision: 5 });
  assert.deepEqual(requested.sort(), ["/a/gone", "/b/gone", "/b/new", "/c"]);
});
