import assert from "node:assert/strict";
import { tryLock } from "./file_lock.ts";

Deno.test("a locked file cannot be locked again until the lock is let go or its process ends", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/lock`;
    const first = tryLock(path);
    assert.ok(first);
    assert.equal(tryLock(path), undefined);
    first[Symbol.dispose]();
    using second = tryLock(path);
    assert.equal(second?.identity, first.identity);

    const other = `${directory}/other`;
    const holder = new Deno.Command("flock", {
      args: [other, "sh", "-c", "echo held; read line"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.getReader();
    await reader.read();
    assert.equal(tryLock(other), undefined);
    await holder.stdin.close();
    await holder.status;
    await reader.cancel();
    using third = tryLock(other);
    assert.ok(third);
    assert.notEqual(third.identity, first.identity);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a path that cannot be opened is an error that names it", () => {
  assert.throws(() => tryLock("/none/such/lock"), /open \/none\/such\/lock: no such file/);
});
