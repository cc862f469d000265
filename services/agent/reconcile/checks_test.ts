import assert from "node:assert/strict";
import { createLog } from "../../common/log.ts";
import { Checks } from "./checks.ts";
import type { StoreGuard } from "../store_guard/guard.ts";

Deno.test("a network whose comparison does not end, or fails, keeps no other from its periodic check", async () => {
  const seen: string[] = [], lines: string[] = [], second = Promise.withResolvers<void>();
  const log = createLog("agent", { level: "info", format: "text" }, {
    write: (line) => void lines.push(line),
  });
  const network = (name: string, ends: () => Promise<void>) => ({
    shownName: () => name,
    compare(reason: string) {
      seen.push(`${name} ${reason}`);
      return ends();
    },
  });
  const networks = [
    network("busy", () => new Promise(() => {})),
    network("broken", () => Promise.reject(new Error("no such thing"))),
    network("quiet", () => Promise.resolve()),
  ];
  let rounds = 0;
  const checks = new Checks(
    { log, storeGuard: { hold: undefined } as StoreGuard },
    { all: () => networks, startMissing: () => Promise.resolve() },
    30,
    () => {
      if (++rounds === 2) second.resolve();
      return Promise.resolve();
    },
  );
  await second.promise;
  await checks.close();
  const round = ["busy check", "broken check", "quiet check"];
  assert.deepEqual(seen.slice(0, 6), [...round, ...round]);
  assert.match(lines[0] ?? "", /network broken could not be compared with the kernel: no such thing/);
});
