/** How soon a store recovers after faults of etcd members. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lab } from "../lab/host.ts";

Deno.test("a store is back soon after a member hangs, the leader dies, or no packet comes from etcd for a while", async () => {
  await using lab = await Lab.create("recovery");
  const host = await lab.host("a");
  const script = fileURLToPath(new URL("store_recovery_host.ts", import.meta.url));
  const deno = [Deno.execPath(), "run", "--quiet", "--allow-all", "--cached-only", "--no-check", script];
  const { stdout } = await host.run(deno, { timeout: 300_000 });
  const seen = JSON.parse(stdout);
  const within = (what: string, seconds: number, limit: number) =>
    assert(seconds <= limit, `${what}: ${seconds} s, ${limit} s at most; ${stdout}`);
  within("a write after a member hung", seen.hung.write, 8);
  within("the mirror after a member hung", seen.hung.mirror, 8);
  within("a write after the leader was killed", seen.leaderLost.write, 8);
  within("a connection that was begun in the dark", seen.firstConnection, 5);
  within("a write after the dark", seen.dark.write, 5);
  within("the mirror after the dark", seen.dark.mirror, 5);
  assert(
    seen.sockets.during <= seen.sockets.before + 8,
    `sockets of given up attempts are closed: ${stdout}`,
  );
});
