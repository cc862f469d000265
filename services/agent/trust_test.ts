import assert from "node:assert/strict";
import { Refusal } from "../common/refusal.ts";
import { StateFile } from "./state_file.ts";
import { Trust } from "./trust.ts";

/** A store as an agent sees it, and the agent's trust in it across restarts. */
function setUp(directory: string) {
  const seen = { clusterId: "a", revision: 7, networks: new Set(["N"]) };
  const doubts: string[] = [];
  const start = () => new Trust(new StateFile(directory, "h1/sc-net"), () => seen, (why) => doubts.push(why));
  return { seen, doubts, start };
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

Deno.test("StateFile refuses what it cannot read, and a place where it cannot write", () =>
  inDirectory((directory) => {
    const file = new StateFile(directory, "h1/sc-net");
    assert.equal(file.load(), undefined);
    file.save({ clusterId: "a", revision: 7, networks: new Set(["N"]) });
    assert.deepEqual(file.load(), { clusterId: "a", revision: 7, networks: ["N"] });
    Deno.writeTextFileSync(file.path, '{"clusterId":');
    assert.throws(() => file.load(), {
      code: "invalid",
      message: /h1_sc-net\.json cannot be read .*remove the file/,
    });
    assert.throws(() => new StateFile(file.path, "h1"), {
      code: "invalid",
      message: /^STRAND_AGENT_STATE_DIR: /,
    });
  }));
