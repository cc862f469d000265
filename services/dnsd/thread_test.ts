import assert from "node:assert/strict";
import dgram from "node:dgram";
import { libc } from "../../ffi/libc.ts";
import { localPort, openUdp } from "../../ffi/udp.ts";
import { until } from "../../tests/lab/until.ts";
import { DnsCounters } from "./counters.ts";
import { TableWriter } from "./table_writer.ts";
import { encodeQuery, mini } from "./testing.ts";
import { AnsweringThread } from "./thread.ts";
import type { ForwardedQuery } from "./worker.ts";
import { Zones } from "./zones.ts";

Deno.test("one socket's queries for other names leave room for those of another, until they are done with", async () => {
  const forwarded: ForwardedQuery[] = [];
  const of = (socket: number) => forwarded.filter((query) => query.socket === socket).length;
  const thread = new AnsweringThread({ maxForwarded: 40, onForward: (query) => forwarded.push(query) });
  const table = new TableWriter((block) => thread.setBlock(1, block), thread.epochs),
    zones = new Zones(table);
  zones.setNetwork(mini);
  zones.publish(1);
  await thread.start();
  thread.setBlock(1, table.reader.block);
  const sockets = [1, 2].map((socket) => {
    const fd = openUdp(Uint8Array.of(127, 0, 0, 1), 0, "a test's");
    thread.serve({ socket, fd, table: 1, recursion: true }, 16);
    return { fd, port: localPort(fd) };
  });
  const client = dgram.createSocket("udp4"), query = encodeQuery({ name: "far.test", rd: true });
  const [flooding, other] = sockets.map(({ port }) => port);
  const send = (port: number | undefined, count: number) => {
    for (let i = 0; i < count; i++) client.send(query, port, "127.0.0.1");
  };
  try {
    send(flooding, 100);
    await until("all have come", (see) => see(DnsCounters.sum([thread.counters]).queries) === 100);
    send(other, 3);
    await until("the other's are forwarded", (see) => see(of(2)) === 3);
    assert.equal(of(1), 16);
    for (let i = 0; i < 5; i++) thread.forwarded(1);
    send(flooding, 20);
    await until("as many more are forwarded as were done with", (see) => see(of(1)) === 21);
    await thread.leave(1);
    thread.forwarded(1);
  } finally {
    client.close();
    await thread.stop();
    for (const { fd } of sockets) libc.close(fd);
  }
});
