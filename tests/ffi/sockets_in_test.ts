/** TCP connections and listeners inside other network namespaces. */
import assert from "node:assert/strict";
import { Netlink } from "../../ffi/netlink.ts";
import { changeLink } from "../../ffi/netlink_link.ts";
import { connectIn, listenIn } from "../../ffi/sockets_in.ts";
import { TestNamespace } from "./namespaces.ts";

/** The network namespaces of this process's threads. */
function threads(): Set<string> {
  const tasks = [...Deno.readDirSync("/proc/self/task")].map(({ name }) => `/proc/self/task/${name}/ns/net`);
  return new Set(tasks.flatMap((path) => {
    try {
      return Deno.readLinkSync(path);
    } catch (error) {
      // A thread of Deno's pool that has nothing to do may end in between.
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }));
}

/** What arrives until the other side has no more to say. */
async function heard(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(100);
  let text = "";
  for (let n; (n = await connection.read(buffer)) !== null;) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text;
}

Deno.test("connections are made inside, many at once, and no thread stays there", async () => {
  using one = new TestNamespace();
  using two = new TestNamespace();
  // The same address and port in two namespaces and outside: what answers tells where it was.
  const port = 7777, hostname = "127.0.0.1";
  const listeners: Deno.TcpListener[] = [];
  const served: Promise<void>[] = [];
  try {
    for (const { fd, name } of [one, two]) {
      using netlink = new Netlink(fd);
      await netlink.run(changeLink("lo", { up: true }));
      const listener = listenIn(fd, { hostname, port });
      listeners.push(listener);
      served.push((async () => {
        for await (const connection of listener) {
          // Half-closed by the client: the answer still arrives.
          await connection.write(new TextEncoder().encode(`${await heard(connection)} in ${name}`));
          connection.close();
        }
      })());
    }
  } finally {
    if (listeners.length < 2) listeners.forEach((listener) => listener.close());
  }
  try {
    const before = threads();
    const calls = Array.from({ length: 200 }, async (_, i) => {
      const { fd, name } = i % 2 ? one : two;
      const connection = await connectIn(fd, { hostname, port });
      await connection.write(new TextEncoder().encode(`call ${i}`));
      await connection.closeWrite();
      const answer = await heard(connection);
      connection.close();
      return [answer, `call ${i} in ${name}`];
    });
    for (const [answer, expected] of await Promise.all(calls)) assert.equal(answer, expected);
    assert.deepEqual(threads(), before);
    assert.equal(before.size, 1);
  } finally {
    listeners.forEach((listener) => listener.close());
    await Promise.all(served);
  }
});

Deno.test("an address that is not there is an error, and a name is refused", async () => {
  using place = new TestNamespace();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    const { port } = listener.addr;
    // Its own loopback is down.
    await assert.rejects(connectIn(place.fd, { hostname: "127.0.0.1", port }), /unreachable/i);
    await assert.rejects(connectIn(place.fd, { hostname: "::1", port }), Error);
    await assert.rejects(connectIn(place.fd, { hostname: "localhost", port }), TypeError);
  } finally {
    listener.close();
  }
});
