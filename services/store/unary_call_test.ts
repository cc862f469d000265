import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { Client, credentials, Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import { unaryCall } from "./unary_call.ts";

const same = (bytes: Buffer) => bytes;
const rpc = (path: string) => ({
  path,
  requestStream: false as const,
  responseStream: false as const,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

Deno.test("unaryCall() gives the answer, what a server refuses with, and why a call was cancelled", async () => {
  const server = new Server(), waiting = Promise.withResolvers<void>();
  server.addService({ echo: rpc("/test/Echo"), refuse: rpc("/test/Refuse"), wait: rpc("/test/Wait") }, {
    echo: (call: { request: Buffer }, answer: (error: null, bytes: Buffer) => void) =>
      answer(null, call.request),
    refuse: (_: unknown, answer: (error: object) => void) =>
      answer({ code: status.NOT_FOUND, details: "there is none" }),
    wait: () => waiting.resolve(),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const send = (path: string, sent: (call: { cancel(): void }) => void = () => {}) =>
    new Promise<string>((resolve, reject) => {
      const bytes = Buffer.from("hello");
      sent(unaryCall(client.getChannel(), path, bytes, new Metadata(), (error, answer) => {
        if (error) reject(error);
        else resolve(new TextDecoder().decode(answer));
      }));
    });
  try {
    assert.equal(await send("/test/Echo"), "hello");
    await assert.rejects(send("/test/Refuse"), {
      code: status.NOT_FOUND,
      details: "there is none",
      message: "5 NOT_FOUND: there is none",
    });
    const cancelled = send("/test/Wait", (call) => void waiting.promise.then(() => call.cancel()));
    await assert.rejects(cancelled, { code: status.CANCELLED });
  } finally {
    client.close();
    server.forceShutdown();
  }
});
