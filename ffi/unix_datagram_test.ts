import assert from "node:assert/strict";
import { NotifySocket } from "../tests/lab/notify_socket.ts";
import { SystemError } from "./errno.ts";
import { sendDatagram } from "./unix_datagram.ts";

const name = `strand-datagram-test-${Deno.pid}`;

for (const socket of [`/tmp/${name}`, `@${name}`]) {
  Deno.test(`sendDatagram() sends one datagram to ${socket.startsWith("@") ? "an abstract name" : "a path"}`, async () => {
    await using manager = await NotifySocket.bound(socket);
    sendDatagram(socket, "READY=1\nSTATUS=größer");
    sendDatagram(socket, "STOPPING=1");
    assert.deepEqual(await manager.until(/STOPPING/), [
      { pid: Deno.pid, text: "READY=1\nSTATUS=größer" },
      { pid: Deno.pid, text: "STOPPING=1" },
    ]);
  });
}

Deno.test("sendDatagram() says what is wrong with a socket", () => {
  assert.throws(
    () => sendDatagram("/nonexistent/notify", "x"),
    new SystemError("send to /nonexistent/notify", 2),
  );
  assert.throws(() => sendDatagram(`@${name}-absent`, "x"), new SystemError(`send to @${name}-absent`, 111));
  for (const socket of ["", "/", "notify", "vsock:2:1", `/${"x".repeat(107)}`]) {
    assert.throws(() => sendDatagram(socket, "x"), TypeError, socket);
  }
});
