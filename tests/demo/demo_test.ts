/** strand demo as a process: every step, the machine afterwards, and what it prints. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Process, run, strandCommand } from "../lab/host.ts";
import { until } from "../lab/until.ts";

/** For one step of a demo on a machine that is busy with other tests, in ms. */
const PATIENCE = 180_000;

/** How long a demo may take to end there, in ms. */
const ENDING = 60_000;

/** A directory for demos alone; it is gone afterwards. */
class Room implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "strand demo " });
  private readonly demos: Process[] = [];

  demo(args: string[] = [], env: Record<string, string> = {}): Process {
    const demo = new Process(strandCommand(["demo", ...args]), { env: { ...env, TMPDIR: this.path } });
    this.demos.push(demo);
    return demo;
  }

  /** What is left of a demo: its namespaces, files, mounts and processes. */
  async leftOf({ pid }: Process): Promise<string[]> {
    const { stdout } = await run(["ip", "netns", "list"]);
    const namespaces = stdout.split("\n").filter((name) => name.startsWith(`strand-demo-${pid}-`));
    return [...namespaces, ...this.files(), ...this.mounts(), ...this.processes()];
  }

  /** Resolves when nothing is left of a demo: a command of a step that was under way may end a moment after the demo. */
  async leavesNothing(demo: Process): Promise<void> {
    await until("nothing is left of it", async (see) => see(await this.leftOf(demo)).length === 0);
  }

  files(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name);
  }

  mounts(): string[] {
    const all = Deno.readTextFileSync("/proc/self/mountinfo").replaceAll("\\040", " ").split("\n");
    return all.filter((line) => line.includes(this.path));
  }

  /** The command lines of what was started by demos in here. */
  processes(): string[] {
    return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
      try {
        const here = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0").includes(
          `TMPDIR=${this.path}`,
        );
        return here ? [Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ")] : [];
      } catch {
        return []; // no process, or one that has just ended
      }
    });
  }

  /** Runs a demo to its end: every step holds, and nothing is left. */
  async assertHolds(env: Record<string, string>): Promise<void> {
    const demo = this.demo(["--once", "--json"], env);
    const { code } = await demo.ended;
    const steps = demo.lines.map((line) => JSON.parse(line));
    assert.deepEqual(steps.filter(({ ok }) => !ok), [], demo.tail());
    assert.equal(code, 0, demo.tail());
    assert.equal(steps.at(-1).step, "done");
    for (
      const step of [
        /^db .* takes a lease/,
        /^web .* db$/,
        /explain blue web db/,
        /^rogue says by ARP .* drops it$/,
        /^web .* db as before$/,
        /^whiskey .* takes a lease/,
        /^alpha .* 10\.0\.0\.3$/,
        /sand-agent-cli curl/,
      ]
    ) {
      assert.ok(steps.some((told) => step.test(told.step)), `no step like ${step}`);
    }
    await this.leavesNothing(demo);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.demos.map((demo) => demo.stop("SIGTERM", ENDING)));
    await Deno.remove(this.path, { recursive: true });
  }
}

const withoutTimes = (line: string) => line.replaceAll(/ *[0-9.]+ (?=m?s\b)/g, " N ");

/** The lines that README.md shows of the demo, without their times. */
function cutInReadme(): string[] {
  const readme = Deno.readTextFileSync(fileURLToPath(new URL("../../README.md", import.meta.url)));
  const lines = readme.split("\n").filter((line) => /^[0-9.]+ s {2}/.test(line));
  assert.ok(lines.length > 3, readme);
  return lines.map(withoutTimes);
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

Deno.test("strand demo --once: holds without udhcpc, dig and ping, removes what a killed one left, and what the environment says of services and etcd is not for it", async () => {
  await using room = new Room();
  await using tools = await pathWithout("udhcpc", "dig", "ping");
  const killed = room.demo();
  await killed.line(/^.*takes a lease/, PATIENCE);
  killed.signal("SIGKILL");
  await killed.ended;
  assert.notDeepEqual(room.mounts(), []);
  await until("its processes have ended", (see) => see(room.processes().length) === 0);
  await room.assertHolds({
    PATH: tools.path,
    STRAND_ETCD_ENDPOINTS: "127.0.0.1:1",
    ETCD_HOSTS: "127.0.0.1:1",
    PEER_IP: "192.0.2.1",
    NETNS_PREFIX: "sc-ns-other-",
    NEX_SERVER: "127.0.0.1:1",
    SAND_API_URL: "http://127.0.0.1:1",
    http_proxy: "http://127.0.0.1:1",
  });
  await room.leavesNothing(killed);
});

Deno.test("strand demo: what it says to type to look around works, and it prints what README.md shows of it", async () => {
  await using room = new Room();
  const demo = room.demo();
  await demo.line(/^Ctrl-C ends/, PATIENCE);
  const typed = demo.lines.slice(demo.lines.findIndex((line) => line.startsWith("Look around")))
    .filter((line) => line.startsWith("  "))
    .map((line) => line.replace("tail -f", "tail"));
  assert.ok(typed.length > 10, demo.tail());
  for (const line of typed) {
    // On a busy machine a service may answer later than a status waits for it.
    await until(line, async (see) => see(await run(["sh", "-c", line], { mayFail: true })).code === 0);
  }
  const [, page] =
    /^See it in a browser, as it happens: (http:\/\/127\.0\.0\.1:\d+)$/.exec(demo.lines[0] ?? "") ?? [];
  assert.ok(page, demo.tail());
  const seen = await fetch(`${page}/networks/blue`);
  assert.equal(seen.status, 200);
  assert.match(await seen.text(), /52:54:00:00:00:05/);
  const printed = new Set(demo.lines.map(withoutTimes));
  assert.deepEqual(cutInReadme().filter((line) => !printed.has(line)), []);
  assert.equal((await demo.stop("SIGINT", ENDING)).code, 0);
  await room.leavesNothing(demo);
});

Deno.test("strand demo: SIGTERM at any step leaves nothing", async () => {
  const lane = async (...steps: RegExp[]) => {
    await using room = new Room();
    for (const step of steps) {
      const demo = room.demo();
      await demo.line(step, PATIENCE);
      const { code } = await demo.stop("SIGTERM", ENDING);
      assert.equal(code, 0, demo.tail());
      await room.leavesNothing(demo);
    }
  };
  await Promise.all([
    lane(/etcd/, /network-create/),
    lane(/attach blue --ns/, /whiskey \(/),
  ]);
});
