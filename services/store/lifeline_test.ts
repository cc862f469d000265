import assert from "node:assert/strict";
import { Client, connectivityState, credentials } from "@grpc/grpc-js";
import { targetUntilAborted } from "./lifeline.ts";

Deno.test("a channel that is closed as soon as it begins to connect stays closed", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const lifeline = new AbortController();
  const { target, options } = targetUntilAborted(lifeline.signal, `127.0.0.1:${listener.addr.port}`);
  const client = new Client(target, credentials.createInsecure(), options);
  const channel = client.getChannel();
  channel.getConnectivityState(true);
  client.close();
  // The resolver has the address by then, and would have it connected to.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const state = channel.getConnectivityState(false);
  lifeline.abort();
  assert.equal(connectivityState[state], "SHUTDOWN");
});
