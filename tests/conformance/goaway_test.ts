import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type ServerHttp2Stream } from "node:http2";

const OK = Buffer.concat([Buffer.of(0, 0, 0, 0, 2), Buffer.from("ok")]);

function answer(stream: ServerHttp2Stream): void {
  // A peer may hang up in the middle: nothing to do about it here.
  stream.on("error", () => {});
  stream.resume();
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(OK);
  });
}

// Some releases of Deno crash here (not 2.9.3): the client is a process of its own, so that this fails rather than dies.
Deno.test("a gRPC client survives GOAWAY after 300 calls and goes on over a new connection", async () => {
  let sessions = 0, calls = 0;
  const server = createServer();
  server.on("session", () => sessions++);
  server.on("stream", (stream, headers) => {
    calls++;
    const { session } = stream;
    answer(stream);
    if (headers[":path"] === "/test.Echo/GoAway") stream.on("close", () => session?.goaway(0));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert(address && typeof address === "object");
  const client = new URL("goaway_client.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--cached-only", client, `127.0.0.1:${address.port}`],
  }).output();
  server.close();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stdout).trim(), "survived");
  assert.equal(calls, 401);
  assert.equal(sessions, 2, "GOAWAY did end the first connection");
});
