import assert from "node:assert/strict";
import { deadline } from "../../services/common/async.ts";
import { until } from "../../tests/lab/until.ts";
import { Process, run } from "./process.ts";

const big = "0123456789abcdef".repeat(65_536);

Deno.test("run() gives a command its input while the command writes", async () => {
  assert.equal((await run(["cat"], { stdin: big })).stdout, big);
});

Deno.test("run() does not mind a command that writes much before it reads its input", async () => {
  const command = ["sh", "-c", "head -c 1000000 /dev/zero; wc -c"];
  const { stdout } = await run(command, { stdin: big });
  assert.equal(stdout.replaceAll("\0", "").trim(), String(big.length));
});

Deno.test("run() does not mind a command that ends without reading its input", async () => {
  assert.equal((await run(["true"], { stdin: big })).code, 0);
  assert.equal((await run(["sh", "-c", "exec 0<&-; echo done"], { stdin: big })).stdout, "done\n");
});

Deno.test("run() throws what a failed command wrote, unless it may fail", async () => {
  const command = ["sh", "-c", "echo no room >&2; exit 3"];
  await assert.rejects(run(command), /exit status 3: no room$/);
  assert.deepEqual(await run(command, { mayFail: true }), { code: 3, stdout: "", stderr: "no room\n" });
});

Deno.test("run() ends a command whose time is up", async () => {
  await assert.rejects(run(["sleep", "100"], { timeout: 50, mayFail: true }), /sleep 100: ended after 50 ms/);
});

/**
 * Asserts what run() says of a command whose time is up. A busy machine may need long to start its processes, which then
 * have more time in the next try. A line of digits names a process that the command leaves behind.
 */
async function assertLate(command: readonly string[], fits: RegExp): Promise<void> {
  let message = "";
  for (const timeout of [500, 5_000, 30_000]) {
    ({ message } = await run(command, { timeout }).then(
      () => assert.fail("its output ended"),
      (error) => error,
    ));
    const [left] = /^\d+$/m.exec(message) ?? [];
    try {
      if (left !== undefined) Deno.kill(Number(left), "SIGKILL");
    } catch (error) {
      // It was stopped with the command, which had not ended yet.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (fits.test(message)) break;
  }
  assert.match(message, fits);
}

Deno.test("run() tells of a command whose time is up what it wrote, and whether it waited or worked", async () => {
  const command = ["sh", "-c", "echo first; echo second >&2; sleep 100"];
  await assertLate(
    command,
    /had \(sh: S in \w+ after 0\.\d s of processor time, sleep: S in \w+ after [^)]*\); it wrote:\nfirst\nsecond$/,
  );
});

Deno.test("run() tells of a command that has ended while another process has its output open", async () => {
  const command = ["sh", "-c", "setsid sleep 100 & echo $!; echo done"];
  await assertLate(
    command,
    /had \(it has ended, but another process has its output open\); it wrote:\n\d+\ndone$/,
  );
});

Deno.test("run() ends what a command has started too, and does not wait for what has left its family", async () => {
  const mark = `1${Deno.pid}`;
  const both = `sleep ${mark}1 & sh -c 'setsid sleep ${mark}2 & wait' & sh -c '(setsid sleep 20 &)'; wait`;
  const begun = performance.now();
  await assert.rejects(run(["sh", "-c", both], { timeout: 500 }), /ended after 500 ms/);
  assert.ok(performance.now() - begun < 15_000);
  await until(
    "they have ended",
    async (see) => !see((await run(["pgrep", "-xf", `sleep ${mark}[12]`], { mayFail: true })).stdout),
  );
});

Deno.test("a process has ended although one that it has left behind keeps its streams open", async () => {
  const left = "setsid sleep 30 & echo $!; exit 3";
  const process = new Process(["sh", "-c", left], { drainMs: 100 });
  try {
    const ended = deadline(process.ended, 10_000, () => assert.fail("it has not ended"));
    assert.equal((await ended).code, 3);
    assert.equal(process.alive, false);
  } finally {
    Deno.kill(Number(await process.line(/^\d+$/)), "SIGKILL");
  }
});
