/** The etcd that strand up runs: restarts, addresses, and errors. */
import assert from "node:assert/strict";
import {
  type EtcdProcessEvent,
  freePort as portThatIsFree,
  startEtcd,
} from "../../services/store/etcd_process.ts";
import { freePort } from "../lab/free_port.ts";
import { labStore, put } from "../lab/store.ts";
import { until } from "../lab/until.ts";

/** A directory that is gone afterwards. */
async function directory(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "strand-own-etcd-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function alive(pid: number): boolean {
  // A zombie is dead too: only its parent has not looked yet.
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

Deno.test("our own etcd is started again when it dies, with everything in it, on the same port", async () => {
  await using dir = await directory();
  const events: EtcdProcessEvent[] = [];
  const etcd = await startEtcd({ dataDir: `${dir.path}/data`, report: (event) => events.push(event) });
  try {
    using store = labStore([etcd.endpoint]);
    await store.committer.commit(put("/a/x", 1));
    const { pid } = etcd;
    assert(pid);
    Deno.kill(pid, "SIGKILL");
    await until("it is back", () => events.some(({ kind }) => kind === "back"));
    assert.notEqual(etcd.pid, pid);
    await until("it answers", () => store.connection.get("/a/x").then((kv) => kv !== undefined, () => false));
    assert.equal(events.filter(({ kind }) => kind === "died").length, 1);
  } finally {
    const { pid = 0 } = etcd;
    await etcd.stop();
    assert(!alive(pid));
  }
  assert(events.length === 2, "the end that was asked for is not reported as a death");
  const again = await startEtcd({ dataDir: `${dir.path}/data` });
  using store = labStore([again.endpoint]);
  assert(await store.connection.get("/a/x"), "data survives a stop");
  await again.stop();
});

Deno.test("our own etcd listens where it is told to besides 127.0.0.1, and nowhere else", async () => {
  await using dir = await directory();
  const port = freePort();
  const etcd = await startEtcd({ dataDir: dir.path, port, alsoListen: [{ host: "127.0.0.2", port }] });
  try {
    using store = labStore([`http://127.0.0.2:${port}`]);
    await store.committer.commit(put("/a/x", 1));
    assert.equal(etcd.endpoint, `http://127.0.0.1:${port}`);
    await assert.rejects(Deno.connect({ hostname: "127.0.0.3", port }), Deno.errors.ConnectionRefused);
  } finally {
    await etcd.stop();
  }
});

Deno.test("our own etcd refuses a directory or port that is in use, and one it cannot write, in one sentence", async () => {
  await using dir = await directory();
  const etcd = await startEtcd({ dataDir: dir.path });
  try {
    await assert.rejects(startEtcd({ dataDir: dir.path }), {
      name: "Refusal",
      message: `the etcd data directory ${dir.path} is in use by another etcd: stop that one first`,
    });
    const port = Number(new URL(etcd.endpoint).port);
    await assert.rejects(startEtcd({ dataDir: `${dir.path}-2`, port }), {
      message: `etcd in ${dir.path}-2 did not start: port ${port} of 127.0.0.1 is taken by another program`,
    });
    await assert.rejects(startEtcd({ dataDir: "/proc/strand" }), {
      message: /^the etcd data directory \/proc\/strand cannot be used: /,
    });
  } finally {
    await etcd.stop();
    await Deno.remove(`${dir.path}-2`, { recursive: true });
  }
});

Deno.test("our own etcd says why it did not start, or that it is not installed", async () => {
  await using dir = await directory();
  await Deno.mkdir(`${dir.path}/member/snap`, { recursive: true });
  await Deno.writeTextFile(`${dir.path}/member/snap/db`, "not a database");
  await assert.rejects(
    startEtcd({ dataDir: dir.path }),
    /^Refusal: etcd in .* did not start: it ended at once: /,
  );
  const before = Deno.env.get("STRAND_ETCD");
  Deno.env.set("STRAND_ETCD", "/nowhere/etcd");
  try {
    await assert.rejects(startEtcd({ dataDir: dir.path }), {
      message: "STRAND_ETCD: there is no program at /nowhere/etcd",
    });
  } finally {
    if (before === undefined) Deno.env.delete("STRAND_ETCD");
    else Deno.env.set("STRAND_ETCD", before);
  }
});

Deno.test("our own etcd does not outlive a process that is killed", async () => {
  await using dir = await directory();
  const module = new URL("../../services/store/etcd_process.ts", import.meta.url);
  const code = `import { startEtcd } from "${module}";
    const etcd = await startEtcd({ dataDir: "${dir.path}" });
    console.log(etcd.pid);
    await new Promise(() => setInterval(() => {}, 1000));`;
  await Deno.writeTextFile(`${dir.path}/owner.ts`, code);
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--cached-only", `${dir.path}/owner.ts`],
    stdout: "piped",
  }).spawn();
  const reader = owner.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(new TextDecoder().decode(value));
  assert(alive(pid));
  owner.kill("SIGKILL");
  await owner.status;
  await reader.cancel();
  await until("it ended too", () => !alive(pid));
});

Deno.test("freePort() gives a port that can be listened on", () => {
  Deno.listen({ hostname: "127.0.0.1", port: portThatIsFree() }).close();
});
