import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { Epoll, EventFd } from "./epoll.ts";
import { SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { localPort, openUdp, UdpBatch } from "./udp.ts";

const any = new Uint8Array(4), loopback = Uint8Array.of(127, 0, 0, 1);

/** Resolves when the datagram is on its way: waiting in epoll would keep the client from it. */
function send(client: dgram.Socket, text: string, port: number, host: string): Promise<unknown> {
  return new Promise((resolve) => client.send(text, port, host, resolve));
}

Deno.test("a batch goes back to where it came from, from the address that was asked", async () => {
  const fd = openUdp(any, 0, "test");
  const port = localPort(fd);
  const client = dgram.createSocket("udp4");
  try {
    for (const text of ["one", "two", "three"]) await send(client, text, port, "127.0.0.9");
    const epoll = new Epoll();
    epoll.add(fd, 7);
    const batch = new UdpBatch(2, 100);
    const got: string[] = [], replies: string[] = [];
    const all = new Promise<void>((resolve) => {
      client.on("message", (message, from) => {
        replies.push(`${message} ${from.address}`);
        if (replies.length === 3) resolve();
      });
    });
    while (got.length < 3) {
      assert.equal(epoll.wait(1000), 1, got.join());
      assert.equal(epoll.token(0), 7);
      const count = batch.receive(fd);
      for (let i = 0; i < count; i++) {
        got.push(new TextDecoder().decode(batch.buffer.slice(i * 100, i * 100 + batch.length(i))));
        batch.buffer[i * 100] = 65;
        batch.setLength(i, 3);
      }
      assert.equal(batch.send(fd, 0, count), 0);
    }
    await all;
    assert.deepEqual(got, ["one", "two", "three"]);
    assert.deepEqual(replies, ["Ane 127.0.0.9", "Awo 127.0.0.9", "Ahr 127.0.0.9"]);
    assert.equal(batch.receive(fd), 0);
    epoll.close();
  } finally {
    client.close();
    libc.close(fd);
  }
});

Deno.test("a slot takes another's origin, also over IPv6", async () => {
  const fd = openUdp(new Uint8Array(16), 0, "test");
  const client = dgram.createSocket("udp6");
  try {
    await send(client, "hello", localPort(fd), "::1");
    const epoll = new Epoll();
    epoll.add(fd, 0);
    assert.equal(epoll.wait(1000), 1);
    const batch = new UdpBatch(4, 100), one = new UdpBatch(1, 100);
    assert.equal(batch.receive(fd), 1);
    one.address(0, batch.origin(0));
    one.buffer.set([104, 105]);
    one.setLength(0, 2);
    const reply = once(client, "message");
    assert.equal(one.send(fd, 0, 1), 0);
    const [message, from] = await reply;
    assert.equal(`${message} ${from.address}`, "hi ::1");
    epoll.close();
  } finally {
    client.close();
    libc.close(fd);
  }
});

Deno.test("an address in use is an error that says so", () => {
  const fd = openUdp(loopback, 0, "test");
  try {
    assert.throws(() => openUdp(loopback, localPort(fd), "127.0.0.1"), (error) => {
      assert(error instanceof SystemError);
      assert.equal(error.message, "listen on 127.0.0.1: address already in use");
      return true;
    });
  } finally {
    libc.close(fd);
  }
});

Deno.test("an eventfd wakes an epoll until it is drained", () => {
  const event = new EventFd(), epoll = new Epoll();
  epoll.add(event.fd, 3);
  assert.equal(epoll.wait(0), 0);
  event.signal();
  event.signal();
  assert.equal(epoll.wait(-1), 1);
  assert.equal(epoll.token(0), 3);
  event.drain();
  assert.equal(epoll.wait(0), 0);
  epoll.close();
  event.close();
});
