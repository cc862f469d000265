import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { createServer, type TLSSocket } from "node:tls";
import { certificates } from "../../../tests/lab/certificates.ts";
import { until } from "../../../tests/lab/until.ts";
import { type ByteStream, ConnectionStream } from "../http/byte_stream.ts";
import { NodeStream } from "../http/node_stream.ts";
import { TlsStream } from "../http/tls_stream.ts";
import { UnderTls } from "./under_tls.ts";

/** What the client sends, in bytes: more than sockets and TLS hold by themselves. */
const SENT = 32 << 20;

/** Both sides of a TLS connection, and how many bytes the server's has taken from its TCP connection so far. */
async function secured<T extends Duplex>(
  wrap: (end: ByteStream) => T,
  beforeWrite: () => Promise<void> = () => Promise.resolve(),
) {
  await using certs = await certificates();
  const read = (name: string) => Deno.readTextFile(certs.path(name));
  const [cert, key, ca] = [await read("server"), await read("server-key"), await read("ca")];
  const stack = new AsyncDisposableStack();
  const listener = stack.adopt(Deno.listen({ hostname: "127.0.0.1", port: 0 }), (l) => l.close());
  const connecting = Deno.connectTls({ hostname: "localhost", port: listener.addr.port, caCerts: [ca] });
  const connection = new ConnectionStream(await listener.accept());
  let taken = 0;
  const under = wrap({
    read: async () => {
      const bytes = await connection.read();
      taken += bytes?.length ?? 0;
      return bytes;
    },
    write: async (bytes) => {
      await beforeWrite();
      await connection.write(bytes);
    },
    finish: () => connection.finish(),
    close: () => connection.close(),
    abort: () => connection.abort(),
  });
  const server = createServer({ cert, key, allowHalfOpen: true });
  const accepted = Promise.withResolvers<TLSSocket>();
  server.once("secureConnection", accepted.resolve);
  server.emit("connection", under);
  const client = await connecting, socket = await accepted.promise;
  stack.defer(() => {
    client.close();
    socket.destroy();
    under.destroy();
  });
  return { client, socket, under, read: () => taken, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The same, with a client that sends {@link SENT}. */
async function sending<T extends Duplex>(wrap: (end: ByteStream) => T) {
  const it = await secured(wrap);
  const writing = (async () => {
    for (let left = SENT; left > 0;) left -= await it.client.write(new Uint8Array(Math.min(left, 1 << 20)));
  })().catch(() => {});
  return {
    ...it,
    [Symbol.asyncDispose]: async () => {
      await it[Symbol.asyncDispose]();
      await writing;
    },
  };
}

const underTls = (end: ByteStream) => new UnderTls(end, { remoteAddress: undefined });

Deno.test("Deno's node:tls reads on into memory while it is paused: once it does not, UnderTls can go", async () => {
  await using it = await sending((end) => new NodeStream(end));
  it.socket.on("data", () => {}).pause();
  await until("all of it is read, although nothing takes it", (see) => see(it.read()) >= SENT);
});

Deno.test("a TlsEnd that is not read from holds its client back", async () => {
  await using it = await sending(underTls);
  const end = new TlsStream(it.socket, it.under);
  let got = 0, before = 0, looks = 0;
  await until("reading has stopped", () => {
    looks = it.read() > 0 && it.read() === before ? looks + 1 : 0;
    before = it.read();
    return looks === 5;
  });
  assert.ok(it.read() < SENT / 4, `${it.read()} bytes were read, although nothing takes them`);
  while (got < SENT) got += (await end.read())?.length ?? assert.fail("it ends early");
  assert.equal(got, SENT);
});

Deno.test("a TlsEnd that is finished and then closed has told its client that nothing is missing", async () => {
  const slow = Promise.withResolvers<void>();
  let before = Promise.resolve();
  await using it = await secured(underTls, () => before);
  const end = new TlsStream(it.socket, it.under);
  await end.write(new TextEncoder().encode("all of it"));
  before = slow.promise;
  const finished = end.finish().then(() => end.close());
  setTimeout(slow.resolve, 50);
  const buffer = new Uint8Array(64);
  const read = await it.client.read(buffer);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, read ?? 0)), "all of it");
  assert.equal(await it.client.read(buffer), null);
  await finished;
});

Deno.test("a TlsEnd can be closed while its connection takes nothing", async () => {
  const never = Promise.withResolvers<void>();
  let before = Promise.resolve();
  await using it = await secured(underTls, () => before);
  const end = new TlsStream(it.socket, it.under);
  await it.client.handshake();
  before = never.promise;
  const writing = end.write(new Uint8Array(1 << 20));
  end.close();
  await assert.rejects(it.client.read(new Uint8Array(64)));
  await Promise.allSettled([writing]);
  never.resolve();
});
