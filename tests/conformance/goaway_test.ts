import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:http2";

const OK = Buffer.concat([Buffer.of(0, 0, 0, 0, 2), Buffer.from("ok")]);

// Some releases of Deno crash here (not 2.9.3): the client is a process of its own, so that this fails rather than dies.
Deno.test("a gRPC client survives GOAWAY after 300 calls and goes on over a new connection", async () => {
  let sessions = 0, calls = 0;
  const server = createServer((request, response) => {
    calls++;
    const { session } = request.stream;
    request.resume();
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/grpc" });
      response.addTrailers({ "grpc-status": "0" });
      response.end(OK);
    });
    if (request.url === "/test.Echo/GoAway") response.on("close", () => session?.goaway(0));
  });
  server.on("session", () => sessions++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert(address && typeof address === "object");
  const client = `${import.meta.dirname}/goaway_client.ts`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--cached-only", client, `127.0.0.1:${address.port}`],
  }).output();
  server.close();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stdout).trim(), "survived");
  assert.equal(calls, 401);
  assert.equal(sessions, 2, "GOAWAY did end the first connection");
});
