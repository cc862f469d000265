import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { createServer, type TLSSocket } from "node:tls";
import { certificates } from "../../../tests/lab/certificates.ts";
import { until } from "../../../tests/lab/until.ts";
import { ConnectionEnd, type End } from "../http/ends.ts";
import { EndStream } from "../http/end_stream.ts";
import { TlsEnd } from "../http/tls_end.ts";
import { UnderTls } from "./under_tls.ts";

/** What the client sends, in bytes: more than sockets and TLS hold by themselves. */
const SENT = 32 << 20;

/** A server's side of a TLS connection whose client sends {@link SENT}, and how much of that has been read so far. */
async function sending<T extends Duplex>(wrap: (end: End) => T) {
  await using certs = await certificates();
  const read = (name: string) => Deno.readTextFile(certs.path(name));
  const [cert, key, ca] = [await read("server"), await read("server-key"), await read("ca")];
  const stack = new AsyncDisposableStack();
  const listener = stack.adopt(Deno.listen({ hostname: "127.0.0.1", port: 0 }), (l) => l.close());
  const connecting = Deno.connectTls({ hostname: "localhost", port: listener.addr.port, caCerts: [ca] });
  const connection = new ConnectionEnd(await listener.accept());
  let taken = 0;
  const under = wrap({
    read: async () => {
      const bytes = await connection.read();
      taken += bytes?.length ?? 0;
      return bytes;
    },
    write: (bytes) => connection.write(bytes),
    finish: () => connection.finish(),
    close: () => connection.close(),
  });
  const server = createServer({ cert, key });
  const secured = Promise.withResolvers<TLSSocket>();
  server.once("secureConnection", secured.resolve);
  server.emit("connection", under);
  const client = await connecting, socket = await secured.promise;
  const writing = (async () => {
    for (let left = SENT; left > 0;) left -= await client.write(new Uint8Array(Math.min(left, 1 << 20)));
  })().catch(() => {});
  stack.defer(async () => {
    client.close();
    socket.destroy();
    under.destroy();
    await writing;
  });
  return { socket, under, read: () => taken, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("Deno's node:tls reads on into memory while it is paused: once it does not, UnderTls can go", async () => {
  await using it = await sending((end) => new EndStream(end));
  it.socket.on("data", () => {}).pause();
  await until("all of it is read, although nothing takes it", (see) => see(it.read()) >= SENT);
});

Deno.test("a TlsEnd that is not read from holds its client back", async () => {
  await using it = await sending((end) => new UnderTls(end, { remoteAddress: undefined }));
  const end = new TlsEnd(it.socket, it.under);
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
