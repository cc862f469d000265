import assert from "node:assert/strict";
import { tcpSockets } from "../tests/lab/tcp_sockets.ts";
import { until } from "../tests/lab/until.ts";
import { abortConnection } from "./abort.ts";

const ESTABLISHED = 1;

/** A connection of this process to itself, on which a write waits for a client that does not read. */
async function stalled() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const connection = await listener.accept();
  let written = 0, before = 0, looks = 0;
  const writing = (async () => {
    for (;;) written += await connection.write(new Uint8Array(1 << 20));
  })().catch((error: Error) => error);
  await until("a write waits", () => {
    looks = written > 0 && written === before ? looks + 1 : 0;
    before = written;
    return looks === 5;
  });
  const { port } = listener.addr, its = (client.localAddr as Deno.NetAddr).port;
  return {
    connection,
    writing,
    /** The state of the server's socket; undefined: there is none. */
    state: () =>
      tcpSockets().find(({ localPort, remotePort }) => localPort === port && remotePort === its)?.state,
    [Symbol.dispose]() {
      client.close();
      listener.close();
    },
  };
}

Deno.test("Deno's close() leaves a socket open while a write waits: once it does not, abortConnection() can go", async () => {
  using it = await stalled();
  it.connection.close();
  // A connection that is accepted meanwhile shows that the event loop has gone round.
  const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: other.addr.port }),
    other.accept(),
  ]);
  for (const one of [near, far, other]) one.close();
  assert.equal(it.state(), ESTABLISHED);
});

Deno.test("abortConnection() ends a connection on which a write waits", async () => {
  using it = await stalled();
  abortConnection(it.connection);
  it.connection.close();
  assert.ok(await it.writing instanceof Error);
  await until("the socket is shut down", () => it.state() !== ESTABLISHED);
});

Deno.test("abortConnection() with a reset has the peer read an error, not an end, after what it was sent", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using peer = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const connection = await listener.accept();
  await connection.write(new Uint8Array(3));
  assert.equal(await peer.read(new Uint8Array(8)), 3);
  abortConnection(connection, true);
  connection.close();
  await assert.rejects(peer.read(new Uint8Array(8)), Deno.errors.ConnectionReset);
});
