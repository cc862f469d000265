import assert from "node:assert/strict";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { EtcdMember } from "./member.ts";

Deno.test("a member that is closed is not connected to again, although its connection is given up after that", async () => {
  const server = new Server();
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  try {
    const member = new EtcdMember(`http://127.0.0.1:${port}`, undefined);
    assert.equal(await member.connect(), true);
    member.close();
    // A probe that began before does so when its time is over.
    member.drop();
    assert.equal(await member.connect(), false);
    assert.equal(member.connected, false);
  } finally {
    server.forceShutdown();
  }
});

Deno.test(
  "a request to a member that is closed fails, and leaves no timer behind",
  { sanitizeOps: true },
  async () => {
    const member = new EtcdMember("http://127.0.0.1:1", undefined);
    member.close();
    await assert.rejects(member.revision());
  },
);
