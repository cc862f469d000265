import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { StateFile } from "./state_file.ts";
import { Trust } from "./hold.ts";

function owner(hostname: string, prefix = "/sc-net", namespaces = "/var/run/netns/sc-ns-") {
  return { hostname, prefix, namespaces };
}

/** A store as an agent sees it, and the agent's trust in it across restarts. */
function setUp(directory: string) {
  const seen = { clusterId: "a", revision: 7, networks: new Set(["N"]) };
  const doubts: string[] = [];
  const unsaved: string[] = [];
  const events = {
    onDoubt: (why: string) => void doubts.push(why),
    onUnsaved: (why: string) => void unsaved.push(why),
  };
  const start = (inKernel: readonly string[] = []) =>
    new Trust(new StateFile(directory, owner("h1")), () => seen, events, inKernel);
  return { seen, doubts, unsaved, events, start };
}

async function inDirectory(test: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    test(`${directory}/state`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("Trust remembers the store over a restart, and holds everything when another one answers", () =>
  inDirectory((directory) => {
    const { seen, doubts, start } = setUp(directory);
    const first = start();
    assert.ok(first.look());
    first.joined("N");
    first.close();
    seen.clusterId = "b";
    const second = start();
    assert.equal(second.look(), false);
    assert.equal(second.look(), false, "once in doubt, it stays so");
    assert.equal(doubts.length, 1);
    assert.throws(() => second.assert(), (error) => error instanceof Refusal && error.code === "unavailable");
    second.close();

    const third = start();
    assert.equal(third.look(), false, "a restart is no release");
    third.release();
    assert.ok(third.look());
    third.close();
    const fourth = start();
    assert.ok(fourth.look());
    fourth.close();
  }));

Deno.test("Trust knows a store that was emptied from a network that this host has left", () =>
  inDirectory((directory) => {
    const { seen, start } = setUp(directory);
    const trust = start();
    trust.look();
    trust.joined("N");
    trust.left("N");
    seen.networks.clear();
    assert.ok(trust.look());
    trust.joined("M");
    assert.equal(trust.look(), false);
    trust.close();
  }));

Deno.test("Trust has nothing but the kernel to know a store by that it sees for the first time", () =>
  inDirectory((directory) => {
    const { seen, start } = setUp(directory);
    const wrong = start(["M"]);
    assert.equal(wrong.look(), false, "the wrong etcd, or this host under the wrong name");
    wrong.close();
    const again = start(["M"]);
    assert.equal(again.look(), false, "a restart is no release");
    again.close();
    const right = start(["M", "N"]);
    assert.ok(right.look());
    assert.equal(right.look(new Set()), false, "etcd itself says that all of them are gone");
    assert.deepEqual([...seen.networks], ["N"]);
    right.close();
  }));

Deno.test("Trust goes on while the disk is full, says so, and keeps what it has seen once there is room", () =>
  inDirectory((directory) => {
    const { seen, unsaved, start } = setUp(directory);
    const trust = start();
    // A file cannot be written where a folder is.
    const part = `${directory}/h1_sc-net.json.part`;
    Deno.mkdirSync(part);
    trust.release();
    trust.release();
    assert.equal(unsaved.length, 1, "said once");
    assert.match(trust.unsaved ?? "", /directory/i);
    Deno.removeSync(part);
    trust.release();
    assert.equal(trust.unsaved, undefined);
    trust.close();
    seen.clusterId = "b";
    const next = start();
    assert.equal(next.look(), false, "it was kept");
    next.close();
  }));

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

Deno.test("Trust holds everything while the host's name is not this agent's, and that is no doubt of the store", () =>
  inDirectory((directory) => {
    const { seen, events } = setUp(directory);
    const claim = {
      hold: undefined as { reason: string; fix: string; since: number } | undefined,
      sentence: "this host is on hold: the name is another's",
      confirmed: () => claim.hold === undefined,
    };
    const trust = new Trust(new StateFile(directory, owner("h1")), () => seen, events, [], claim);
    assert.ok(trust.look());
    claim.hold = { reason: "the name is another's", fix: "", since: 1 };
    assert.equal(trust.look(), false);
    assert.equal(trust.doubt?.reason, "the name is another's");
    assert.equal(trust.storeDoubt, undefined);
    assert.throws(() => trust.assert(), /on hold: the name is another's/);
    claim.hold = undefined;
    assert.ok(trust.look(), "it goes on by itself");
    trust.assert();
    trust.close();
  }));
