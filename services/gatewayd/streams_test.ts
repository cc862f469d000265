import assert from "node:assert/strict";
import { listenTcp } from "../../ffi/tcp.ts";
import { localPort } from "../../ffi/udp.ts";
import { until } from "../../tests/lab/until.ts";
import { deadline } from "../common/async.ts";
import { ReceivedListener } from "./streams.ts";

/** A listener by its descriptor, and a connection to it with both of its ends. */
async function pair() {
  const fd = listenTcp(Uint8Array.of(127, 0, 0, 1), 0, "127.0.0.1/tcp"), port = localPort(fd);
  const listener = new ReceivedListener(fd);
  const [there, here] = await Promise.all([Deno.connect({ port, hostname: "127.0.0.1" }), listener.accept()]);
  return {
    fd,
    port,
    listener,
    there,
    here,
    [Symbol.dispose]() {
      here.close();
      listener.close();
    },
  };
}

Deno.test("connections of a listening socket are read and written, however small the pieces", async () => {
  using it = await pair();
  const { there, here } = it;
  assert.deepEqual(here.remoteAddr, { ...there.localAddr });
  await there.write(Uint8Array.of(1, 2, 3, 4, 5));
  const got: number[] = [];
  while (got.length < 5) {
    const into = new Uint8Array(2), count = await here.read(into);
    assert.ok(count);
    got.push(...into.subarray(0, count));
  }
  assert.deepEqual(got, [1, 2, 3, 4, 5]);
  const waits = here.read(new Uint8Array(9));
  await there.write(Uint8Array.of(6));
  assert.equal(await waits, 1);
  assert.equal(await here.write(Uint8Array.of(7, 8)), 2);
  const answer = new Uint8Array(9);
  assert.deepEqual([await there.read(answer), ...answer.subarray(0, 2)], [2, 7, 8]);
  there.close();
  assert.equal(await here.read(new Uint8Array(9)), null);
});

Deno.test("a closed connection is seen by its client, also while what is written is not read", async () => {
  using it = await pair();
  const { there, here } = it;
  const unread = here.write(new Uint8Array(16 << 20)).then(() => "written", () => "failed");
  here.close();
  assert.equal(await unread, "failed");
  const into = new Uint8Array(1 << 20);
  while (await there.read(into).catch(() => null) !== null);
  there.close();
});

Deno.test("a closed listener ends the wait for a connection, and another one has its port meanwhile", async () => {
  const it = await pair();
  const other = new ReceivedListener(listenTcp(Uint8Array.of(127, 0, 0, 1), it.port, "127.0.0.1/tcp"));
  const waits = it.listener.accept();
  it.here.close();
  it.there.close();
  it.listener.close();
  await assert.rejects(waits, /closed/);
  const accepted = other.accept(), connections: Deno.Conn[] = [];
  // A process that another test starts at the moment may hold the closed listener a little longer, and gets some of them.
  await until("the other one accepts a connection", async () => {
    connections.push(await Deno.connect({ port: it.port, hostname: "127.0.0.1" }));
    return await deadline(accepted, 100) !== undefined;
  });
  (await accepted).close();
  for (const there of connections) there.close();
  other.close();
});
