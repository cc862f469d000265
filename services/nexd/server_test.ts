import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { credentials, status } from "@grpc/grpc-js";
import { nexClient } from "../../proto/client.ts";
import type { MessageInput } from "../../proto/types.ts";
import type * as proto from "../../proto/types.ts";
import type { NexApi } from "./api.ts";
import { abortConnection } from "../../ffi/abort.ts";
import { type GrpcLimits, serveGrpc } from "./server.ts";

/** A server whose network's name is `name`, told once `held` resolves, and that takes any members, and a client of it. */
async function serving(limits: Partial<GrpcLimits> = {}, name = "mini", held?: Promise<void>) {
  const troubles: string[] = [];
  let members = 0;
  const api = {
    GetNetworks: async () => (await held, { nets: [name] }),
    AddMembers: ({ list }: proto.MemberList) => {
      members += list.length;
      return {};
    },
  } as unknown as NexApi;
  const server = await serveGrpc(api, {
    listen: { host: "127.0.0.1", port: 0 },
    limits,
    abort: abortConnection,
    onTrouble: (what) => void troubles.push(what),
  });
  const client = nexClient(`127.0.0.1:${server.at.port}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
  const open: { destroy(): void }[] = [];
  return {
    server,
    client,
    troubles,
    members: () => members,
    http2(settings: Parameters<typeof connectHttp2>[1] = {}): ClientHttp2Session {
      const session = connectHttp2(`http://127.0.0.1:${server.at.port}`, settings);
      session.on("error", () => {});
      open.push(session);
      return session;
    },
    tcp(): Socket {
      const socket = connect(server.at.port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      open.push(socket);
      return socket;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      for (const one of open) one.destroy();
      await server.stop();
    },
  };
}

/** A call that announces a message of `size` octets and sends `sent` of them; the gRPC status that it ends with. */
function unfinished(session: ClientHttp2Session, size: number, sent: number) {
  const stream = session.request({
    ":method": "POST",
    ":path": "/nex.Nex/AddMembers",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const header = Buffer.alloc(5);
  header.writeUInt32BE(size, 1);
  stream.write(Buffer.concat([header, Buffer.alloc(sent)]));
  return { status: statusOf(stream) };
}

/** A call whose answer is not read. */
function unread(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": "/nex.Nex/GetNetworks",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.pause();
  stream.end(Buffer.alloc(5));
  return stream;
}

/** What a client of HTTP/2 sends that begins so many calls, and resets each at once. */
function resets(calls: number): Buffer {
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(stream, 5);
    return Buffer.concat([header, payload]);
  };
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  // HPACK: POST and http by their numbers in its table, a path and an authority by the names' numbers.
  const headers = Buffer.concat([
    ...[Buffer.from([0x83, 0x86, 0x04]), text("/nex.Nex/GetNetworks"), Buffer.from([0x01]), text("nexd")],
    ...[Buffer.from([0x00]), text("content-type"), text("application/grpc")],
    ...[Buffer.from([0x00]), text("te"), text("trailers")],
  ]);
  const CANCEL = Buffer.from([0, 0, 0, 8]);
  const begun = Array.from({ length: calls }, (_, i) => {
    return Buffer.concat([frame(1, 4, 2 * i + 1, headers), frame(3, 0, 2 * i + 1, CANCEL)]);
  });
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  return Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0)), ...begun]);
}

/** Begins a call that goes on; resolves when the server has it. */
async function occupied(session: ClientHttp2Session): Promise<void> {
  unfinished(session, 1 << 20, 1000);
  // What comes behind it on the same connection is answered.
  assert.equal(await unfinished(session, 60 << 20, 0).status, status.RESOURCE_EXHAUSTED);
}

function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const look = (headers: Record<string, unknown>) => {
    if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"]));
  };
  stream.on("response", look);
  stream.on("trailers", look);
  stream.on("close", () => resolve(-1));
  return promise;
}

const longest = (i: number): MessageInput<proto.Member> => ({
  mac: "02:00:00:00:00:" + (i % 256).toString(16).padStart(2, "0"),
  name: `${"n".repeat(58)}${String(i).padStart(5, "0")}.${"d".repeat(63)}.${"d".repeat(63)}.${
    "d".repeat(58)
  }`,
  ip4: { address: "100.100.100.100" },
  ip6: { address: "2001:db8:1111:2222:3333:4444:5555:6666" },
});

Deno.test("a request that cannot be read is the client's fault, and says which field", async () => {
  await using it = await serving();
  const stream = it.http2().request({
    ":method": "POST",
    ":path": "/nex.Nex/UpdateNetwork",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const trailers = new Promise<Record<string, unknown>>((resolve) => {
    stream.on("response", (headers) => headers["grpc-status"] && resolve(headers));
    stream.on("trailers", resolve);
  });
  stream.resume();
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, 11, 0x62, 9]), Buffer.from("10.0.0.10")]));
  const { "grpc-status": code, "grpc-message": message } = await trailers;
  assert.equal(Number(code), status.INVALID_ARGUMENT);
  assert.match(
    decodeURIComponent(String(message)),
    /^NetworkUpdateRequest: field 12 \(optionsPresent\) is not/,
  );
});

Deno.test("one request holds 10,000 members with the longest names, and little more", async () => {
  await using it = await serving();
  const list = (length: number) => Array.from({ length }, (_, i) => longest(i));
  await it.client.call("AddMembers", { net: "mini", list: list(10_000) });
  assert.equal(it.members(), 10_000);
  await assert.rejects(it.client.call("AddMembers", { net: "mini", list: list(20_000) }), {
    code: status.RESOURCE_EXHAUSTED,
    details: /larger than max/,
  });
});

Deno.test("a message that is too large is refused by its announced length, before it comes", async () => {
  await using it = await serving();
  const { status: said } = unfinished(it.http2(), 60 << 20, 1000);
  assert.equal(await said, status.RESOURCE_EXHAUSTED);
});

Deno.test("a request that does not become complete is ended, and others are not kept waiting", async () => {
  await using it = await serving({ requestMs: 400 });
  const session = it.http2();
  const calls = Array.from({ length: 20 }, () => unfinished(session, 1 << 20, 1000));
  assert.deepEqual((await it.client.call("GetNetworks", {})).nets, ["mini"]);
  const whole = unfinished(session, 0, 0); // complete, but it does not say so
  for (const { status: said } of [...calls, whole]) assert.equal(await said, status.DEADLINE_EXCEEDED);
  assert.deepEqual((await it.client.call("GetNetworks", {})).nets, ["mini"]);
});

Deno.test("of too many incomplete requests the oldest are ended", async () => {
  await using it = await serving({ requestMs: 60_000, most: 3 });
  const session = it.http2();
  const calls = Array.from({ length: 5 }, () => unfinished(session, 1 << 20, 1000));
  const ended = await Promise.all(calls.slice(0, 2).map(({ status: said }) => said));
  assert.deepEqual(ended, [status.RESOURCE_EXHAUSTED, status.RESOURCE_EXHAUSTED]);
  const left = await Promise.race([
    calls[2]?.status,
    new Promise((resolve) => setTimeout(resolve, 100, "open")),
  ]);
  assert.equal(left, "open");
});

Deno.test("clients that begin calls and reset them at once do not hold everything else up", async () => {
  await using it = await serving();
  await it.client.call("GetNetworks", {});
  const flood = resets(5000);
  /** The longest time in which nothing else was done, as a share of the whole. */
  const held = async () => {
    const begun = performance.now();
    let last = begun, longest = 0;
    const clock = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }, 1);
    const floods = Array.from({ length: 10 }, async () => {
      const socket = it.tcp();
      socket.write(flood);
      // HTTP/2 closes a connection with too many of them.
      await new Promise((resolve) => socket.on("close", resolve));
    });
    await Promise.all(floods);
    clearInterval(clock);
    return longest / (performance.now() - begun);
  };
  // Other tests may hold one try up, and a server that is held up by the clients each of them.
  const shares: number[] = [];
  do shares.push(await held()); while (shares.at(-1)! >= 0.2 && shares.length < 5);
  assert.ok(shares.at(-1)! < 0.2, `nothing else was done for ${shares.join(", ")} of the time`);
  assert.deepEqual((await it.client.call("GetNetworks", {})).nets, ["mini"]);
});

Deno.test("an answer that its client does not read ends its connection", async () => {
  await using it = await serving({ answerMs: 3000 }, "n".repeat(5 << 20));
  const session = it.http2();
  const closed = new Promise((resolve) => session.on("close", resolve));
  unread(session);
  await closed;
  assert.equal((await it.client.call("GetNetworks", {})).nets[0]?.length, 5 << 20);
});

Deno.test("a client that takes 100 answers of 1 MB slowly is left to it, while all that waits is not too much", async () => {
  await using it = await serving({ unsent: 256 << 20 }, "n".repeat(1 << 20));
  const session = it.http2(), streams = Array.from({ length: 100 }, () => unread(session));
  const answered = streams.map((stream) => new Promise((resolve) => stream.on("response", resolve)));
  await Promise.all(answered);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  assert.equal(session.closed || session.destroyed, false);
  // They are all listened to before the first goes on, so that no end is missed.
  const said = streams.map(statusOf);
  for (const stream of streams) stream.resume();
  for (const one of said) assert.equal(await one, status.OK);
});

Deno.test("when too much waits to be taken, the connection with most of it is closed, and no other", async () => {
  await using it = await serving({ unsent: 16 << 20 }, "n".repeat(4 << 20));
  const modest = it.http2(), greedy = it.http2();
  const closed = new Promise((resolve) => greedy.on("close", resolve));
  const one = unread(modest);
  await new Promise((resolve) => one.on("response", resolve));
  // It has waited for longer than the other one's will, which are as many octets as may wait at the first look.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  for (let i = 0; i < 5; i++) unread(greedy);
  await closed;
  one.resume();
  assert.equal(await statusOf(one), status.OK);
});

Deno.test("a client that cancels a call before its answer keeps its connection", async () => {
  const { promise: held, resolve: answer } = Promise.withResolvers<void>();
  await using it = await serving({ answerMs: 400 }, "mini", held);
  const session = it.http2(), stream = unread(session);
  await new Promise((resolve) => session.ping(resolve));
  stream.close(constants.NGHTTP2_CANCEL);
  await new Promise((resolve) => session.ping(resolve));
  answer();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal(session.closed || session.destroyed, false);
});

Deno.test("connections are capped: one more closes the one that has been idle for longest, never one in use", async () => {
  await using it = await serving({ connections: 3, requestMs: 60_000 });
  const session = it.http2();
  await occupied(session);
  assert.deepEqual((await it.client.call("GetNetworks", {})).nets, ["mini"]);
  const idle = it.tcp();
  const closed = new Promise((resolve) => idle.on("close", resolve));
  await new Promise((resolve) => idle.on("connect", resolve));
  const more = Array.from({ length: 10 }, () => new Promise((resolve) => it.tcp().on("connect", resolve)));
  await Promise.all([closed, ...more]);
  assert.deepEqual((await it.client.call("GetNetworks", {})).nets, ["mini"], "a client gets in again");
  assert.equal(session.destroyed, false);
});

Deno.test("with every connection in use, one more is refused, and said so", async () => {
  await using it = await serving({ connections: 2, requestMs: 60_000 });
  for (let i = 0; i < 2; i++) {
    await occupied(it.http2());
  }
  const session = it.http2();
  await new Promise((resolve) => session.on("close", resolve));
  assert.match(it.troubles[0] ?? "", /^a connection is refused: 2 are in use/);
});
