/** How soon a store recovers after faults of etcd members. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lab } from "../lab/host.ts";

Deno.test("a store is back soon after a member hangs, the leader dies, or no packet comes from etcd for a while", async () => {
  await using lab = await Lab.create("recovery");
  const host = await lab.host("a");
  const script = fileURLToPath(new URL("store_recovery_host.ts", import.meta.url));
  const deno = [Deno.execPath(), "run", "--quiet", "--allow-all", "--cached-only", "--no-check", script];
  // A busy machine makes one try take longer, a fault each of them.
  const late: string[][] = [];
  do {
    assert.ok(late.length < 3, late.map((one) => one.join("\n")).join("\n\n"));
    const { stdout } = await host.run(deno, { timeout: 300_000 });
    const seen = JSON.parse(stdout);
    const limits: [what: string, seconds: number, limit: number][] = [
      ["a write after a member hung", seen.hung.write, 8],
      ["the mirror after a member hung", seen.hung.mirror, 8],
      ["a write after the leader was killed", seen.leaderLost.write, 8],
      ["a connection that was begun in the dark", seen.firstConnection, 5],
      ["a write after the dark", seen.dark.write, 5],
      ["the mirror after the dark", seen.dark.mirror, 5],
    ];
    late.push(
      limits.flatMap(([what, seconds, limit]) =>
        seconds > limit ? `${what}: ${seconds} s, ${limit} s at most` : []
      ),
    );
    assert(
      seen.sockets.during <= seen.sockets.before + 8,
      `sockets of given up attempts are closed: ${stdout}`,
    );
  } while (late.at(-1)?.length);
});
