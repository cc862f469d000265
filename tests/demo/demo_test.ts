import assert from "node:assert/strict";
import { Process, run, strandCommand } from "../lab/host.ts";

/** What a demo of this process leaves: its namespaces and work directories. */
async function leftovers(pid: number): Promise<string[]> {
  const { stdout } = await run(["ip", "netns", "list"]);
  const files = [...Deno.readDirSync("/tmp")].map(({ name }) => name);
  return [...stdout.split("\n"), ...files].filter((name) => name.startsWith(`strand-demo-${pid}-`));
}

/** The PATH's programs under one directory, but for some. */
async function pathWithout(...programs: string[]): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir();
  for (const directory of ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]) {
    for (const { name } of Deno.readDirSync(directory)) {
      if (programs.includes(name)) continue;
      try {
        Deno.symlinkSync(`${directory}/${name}`, `${path}/${name}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function assertHolds(env: Record<string, string>): Promise<void> {
  const demo = new Process(strandCommand(["demo", "--once", "--json"]), { env });
  const { code } = await demo.ended;
  const steps = demo.lines.map((line) => JSON.parse(line));
  assert.deepEqual(steps.filter(({ ok }) => !ok), [], demo.tail());
  assert.equal(code, 0, demo.tail());
  assert.equal(steps.at(-1).step, "done");
  assert.ok(steps.length > 15);
  assert.deepEqual(await leftovers(demo.pid), []);
}

Deno.test("strand demo --once: every step holds, and nothing is left", () => assertHolds({}));

Deno.test("strand demo --once: holds on a machine without udhcpc and dig", async () => {
  await using tools = await pathWithout("udhcpc", "dig");
  await assertHolds({ PATH: tools.path });
});

Deno.test("strand demo: SIGTERM at any step leaves nothing", async () => {
  for (const step of [/etcd/, /apply/, /whiskey \(/]) {
    const demo = new Process(strandCommand(["demo"]));
    await demo.line(step, 30_000);
    const { code } = await demo.stop();
    assert.equal(code, 0, demo.tail());
    assert.deepEqual(await leftovers(demo.pid), []);
  }
});

Deno.test("strand demo: what a killed one left is removed by the next", async () => {
  const killed = new Process(strandCommand(["demo"]));
  await killed.line(/Look around/, 30_000);
  killed.signal("SIGKILL");
  await killed.ended;
  assert.notDeepEqual(await leftovers(killed.pid), []);
  await assertHolds({});
  assert.deepEqual(await leftovers(killed.pid), []);
});
