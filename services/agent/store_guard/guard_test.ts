import assert from "node:assert/strict";
import { until } from "../../../tests/lab/until.ts";
import { Refusal } from "../../common/refusal.ts";
import { StateFile } from "./state_file.ts";
import { StoreGuard } from "./guard.ts";

function owner(hostname: string, prefix = "/sc-net", namespaces = "/var/run/netns/sc-ns-") {
  return { hostname, prefix, namespaces };
}

/** A store as an agent sees it, and the agent's storeGuard in it across restarts. */
function setUp(directory: string) {
  const seen = { clusterId: "a", revision: 7, networks: new Set(["N"]) };
  const holds: string[] = [];
  const unsaved: string[] = [];
  const events = {
    onHold: (why: string) => void holds.push(why),
    onUnsaved: (why: string) => void unsaved.push(why),
  };
  const start = (inKernel: readonly string[] = []) =>
    new StoreGuard(new StateFile(directory, owner("h1")), () => seen, events, inKernel);
  return { seen, holds, unsaved, events, start };
}

async function inDirectory(test: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    test(`${directory}/state`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("StoreGuard remembers the store over a restart, and holds everything when another one answers", () =>
  inDirectory((directory) => {
    const { seen, holds, start } = setUp(directory);
    const first = start();
    assert.ok(first.verify());
    first.joined("N");
    first.close();
    seen.clusterId = "b";
    const second = start();
    assert.equal(second.verify(), false);
    assert.equal(second.verify(), false, "a hold does not end by itself");
    assert.equal(holds.length, 1);
    assert.throws(
      () => second.assertNotHeld(),
      (error) => error instanceof Refusal && error.code === "unavailable",
    );
    second.close();

    const third = start();
    assert.equal(third.verify(), false, "a restart is no release");
    third.release();
    assert.ok(third.verify());
    third.close();
    const fourth = start();
    assert.ok(fourth.verify());
    fourth.close();
  }));

Deno.test("StoreGuard detects a store that was emptied from a network that this host has left", () =>
  inDirectory((directory) => {
    const { seen, start } = setUp(directory);
    const storeGuard = start();
    storeGuard.verify();
    storeGuard.joined("N");
    storeGuard.left("N");
    seen.networks.clear();
    assert.ok(storeGuard.verify());
    storeGuard.joined("M");
    assert.equal(storeGuard.verify(), false);
    storeGuard.close();
  }));

Deno.test("StoreGuard compares a store that it sees for the first time with the networks of the kernel", () =>
  inDirectory((directory) => {
    const { seen, start } = setUp(directory);
    const wrong = start(["M"]);
    assert.equal(wrong.verify(), false, "the wrong etcd, or this host under the wrong name");
    wrong.close();
    const again = start(["M"]);
    assert.equal(again.verify(), false, "a restart is no release");
    again.close();
    const right = start(["M", "N"]);
    assert.ok(right.verify());
    assert.equal(right.verify(new Set()), false, "etcd itself says that all of them are gone");
    assert.deepEqual([...seen.networks], ["N"]);
    right.close();
  }));

Deno.test("StoreGuard goes on while the disk is full, says so, and keeps what it has seen once there is room", () =>
  inDirectory((directory) => {
    const { seen, unsaved, start } = setUp(directory);
    const storeGuard = start();
    // A file cannot be written where a folder is.
    const part = `${directory}/h1_sc-net.json.part`;
    Deno.mkdirSync(part);
    storeGuard.release();
    storeGuard.release();
    assert.equal(unsaved.length, 1, "said once");
    assert.match(storeGuard.unsaved ?? "", /directory/i);
    Deno.removeSync(part);
    storeGuard.release();
    assert.equal(storeGuard.unsaved, undefined);
    storeGuard.close();
    seen.clusterId = "b";
    const next = start();
    assert.equal(next.verify(), false, "it was kept");
    next.close();
  }));

Deno.test("StoreGuard saves what is new by itself, and again where it could not be saved", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const { seen, unsaved, start } = setUp(directory), file = new StateFile(directory, owner("h1"));
    const saved = () => file.load()?.revision;
    const storeGuard = start();
    assert.ok(storeGuard.verify());
    await until("it is saved", () => saved() === 7);
    Deno.mkdirSync(`${file.path}.part`);
    seen.revision = 8;
    assert.ok(storeGuard.verify());
    await until("it cannot be saved", () => storeGuard.unsaved !== undefined);
    Deno.removeSync(`${file.path}.part`);
    await until("it is saved again", () => saved() === 8);
    assert.deepEqual([unsaved.length, storeGuard.unsaved], [1, undefined]);
    storeGuard.close();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("StateFile refuses what it cannot read, and a place where it cannot write", () =>
  inDirectory((directory) => {
    const file = new StateFile(directory, owner("h1"));
    assert.equal(file.load(), undefined);
    file.save({ clusterId: "a", revision: 7, networks: new Set(["N"]) });
    assert.deepEqual(file.load(), { ...owner("h1"), clusterId: "a", revision: 7, networks: ["N"] });
    Deno.writeTextFileSync(file.path, '{"clusterId":');
    assert.throws(() => file.load(), {
      code: "invalid",
      message: /h1_sc-net\.json cannot be read .*remove the file/,
    });
    assert.throws(() => new StateFile(file.path, owner("h1", "")), {
      code: "invalid",
      message: /^STRAND_AGENT_STATE_DIR: /,
    });
  }));

Deno.test("StateFile finds what an agent of another name and the same store has left, unless that agent runs", () =>
  inDirectory((directory) => {
    const file = new StateFile(directory, owner("h6"));
    const left = () => [...file.left()].map(({ hostname, networks }) => [hostname, networks]);
    const former = new StateFile(directory, owner("h5"));
    assert.deepEqual(left(), [], "an agent that has kept nothing");
    former.save({ clusterId: "a", revision: 7, networks: [] });
    assert.deepEqual(left(), [], "an agent without networks");
    former.save({ clusterId: "a", revision: 7, networks: ["N"] });
    new StateFile(directory, owner("h7", "/other")).save({ clusterId: "a", revision: 7, networks: ["N"] });
    assert.deepEqual(left(), [["h5", ["N"]]]);
    assert.deepEqual([...former.left()], []);
    using lock = former.lock();
    assert.ok(lock);
    assert.deepEqual(left(), [], "an agent that runs");
  }));

Deno.test("StateFile does not take another agent of the machine, stopped just now, for its host under a former name", () =>
  inDirectory((directory) => {
    const file = new StateFile(directory, owner("h6"));
    const known = { clusterId: "a", revision: 7, networks: ["N"] };
    new StateFile(directory, owner("h5", "/sc-net", "/run/other/sc-ns-")).save(known);
    // Its file's name ends as those of this agent's prefix do.
    new StateFile(directory, owner("h5", "/x/sc-net")).save(known);
    assert.deepEqual([...file.left()], []);
    new StateFile(directory, owner("h5")).save(known);
    assert.deepEqual([...file.left()].map(({ hostname }) => hostname), ["h5"]);
  }));

Deno.test("StateFile knows the former name from a file of an earlier version, which does not hold it", () =>
  inDirectory((directory) => {
    const file = new StateFile(directory, owner("h6"));
    const contents = { clusterId: "a", revision: 7, networks: ["N"] };
    Deno.writeTextFileSync(`${directory}/h5.example_sc-net.json`, JSON.stringify(contents));
    assert.deepEqual([...file.left()].map(({ hostname }) => hostname), ["h5.example"]);
  }));

Deno.test("StoreGuard holds everything while the host's name is not this agent's, which is no hold because of etcd", () =>
  inDirectory((directory) => {
    const { seen, events } = setUp(directory);
    const claim = {
      hold: undefined as { reason: string; fix: string; since: number } | undefined,
      sentence: "this host is on hold: the name is another's",
      confirmed: () => claim.hold === undefined,
    };
    const storeGuard = new StoreGuard(new StateFile(directory, owner("h1")), () => seen, events, [], claim);
    assert.ok(storeGuard.verify());
    claim.hold = { reason: "the name is another's", fix: "", since: 1 };
    assert.equal(storeGuard.verify(), false);
    assert.equal(storeGuard.hold?.reason, "the name is another's");
    assert.equal(storeGuard.storeHold, undefined);
    assert.throws(() => storeGuard.assertNotHeld(), /on hold: the name is another's/);
    claim.hold = undefined;
    assert.ok(storeGuard.verify(), "it goes on by itself");
    storeGuard.assertNotHeld();
    storeGuard.close();
  }));
