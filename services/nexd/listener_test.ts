/** What a listener's connections to itself, by which it sees that it accepts, do to others: nothing. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { until } from "../../tests/lab/until.ts";
import { Listener } from "./listener.ts";

/** A listener that connects to itself every second, and clients of it. */
async function listening(most: number) {
  const troubles: string[] = [], clients: Socket[] = [];
  let connections = 0;
  const listener = await Listener.open({
    listen: { host: "127.0.0.1", port: 0 },
    most,
    quietMs: 100,
    onConnection: (socket) => {
      connections++;
      socket.resume();
    },
    onTrouble: (what) => troubles.push(what),
  });
  return {
    listener,
    troubles,
    connections: () => connections,
    async client(): Promise<Socket> {
      const socket = connect(listener.port, "127.0.0.1");
      clients.push(socket.on("error", () => {}).resume());
      await new Promise((resolve) => socket.on("connect", resolve));
      return socket;
    },
    [Symbol.dispose]() {
      for (const socket of clients) socket.destroy();
      listener.close();
    },
  };
}

Deno.test("with as many idle connections as there may be, the listener's own closes none of them", async () => {
  using it = await listening(2);
  const clients = [await it.client(), await it.client()];
  await until("both are there", () => it.connections() === 2);
  await until("it has connected to itself three times", () => it.connections() >= 5);
  assert.deepEqual(clients.map(({ closed, destroyed }) => closed || destroyed), [false, false]);
  await until("its own are gone", () => it.listener.size === 2);
  const closed = new Promise((resolve) => clients[0]?.on("close", resolve));
  await it.client();
  await closed;
  assert.deepEqual(it.troubles, []);
});
