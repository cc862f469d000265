import assert from "node:assert/strict";
import { Refusal } from "../common/refusal.ts";
import { change, type ChangeOptions, confirmedRead } from "./change.ts";
import type { ChangeStore } from "./change_store.ts";
import { UnknownOutcome } from "./errors.ts";
import { MemoryStore } from "./memory_store.ts";
import type { Plan } from "./types.ts";

const texts = { prefixes: ["/a/"], parse: (_: string, value: string) => value };

/** A store whose mirror shows what others have written only when it is confirmed. */
class Lagging {
  readonly memory = new MemoryStore<string>(texts);
  /** Keys as the mirror shows them. */
  shown = new Map<string, number>();
  confirmations = 0;
  away = false;
  /** What becomes of the next commit, in place of the usual. */
  next: ((plan: Plan) => void) | undefined;
  existed = false;
  readonly store: ChangeStore<string>;

  constructor() {
    const { memory } = this;
    const commit = (plan: Plan) => {
      const instead = this.next;
      this.next = undefined;
      if (!instead) return memory.commit(plan);
      instead(plan);
      return Promise.reject(new UnknownOutcome("its answer was lost"));
    };
    const catchUp = () => {
      this.shown = new Map([...memory.values].map(([key, { modRevision }]) => [key, modRevision]));
      return Promise.resolve();
    };
    this.store = {
      mirror: {
        ...memory.mirror,
        version: (key) => this.shown.get(key) ?? 0,
        existedSince: () => this.existed,
        caughtUp: catchUp,
        reached: catchUp,
      },
      committer: { commit, commitGrouped: commit },
      current: (keys) =>
        Promise.resolve(
          keys.map((key) => ({ key, modRevision: memory.values.get(key)?.modRevision ?? 0 })),
        ),
      confirmed: () => {
        this.confirmations++;
        if (this.away) return Promise.reject(new Refusal("unavailable", "etcd is away"));
        return catchUp();
      },
      settled: catchUp,
    };
  }

  has(key: string): boolean {
    return this.shown.has(key);
  }

  /** What others do. */
  put(key: string, value = "theirs"): void {
    this.memory.write({ guards: [], ops: [{ put: key, value }] });
  }

  remove(key: string): void {
    this.memory.write({ guards: [], ops: [{ remove: key }] });
  }

  plan(key: string): Plan {
    return { guards: [{ key, modRevision: this.shown.get(key) ?? 0 }], ops: [{ put: key, value: "ours" }] };
  }

  /** Adds a key; refuses where it is others'. */
  add(key: string, options?: ChangeOptions): Promise<number | undefined> {
    return change(this.store, () => {
      if (!this.has(key)) return this.plan(key);
      if (this.memory.values.get(key)?.value === "ours") return undefined;
      throw new Refusal("exists", `${key} is there already`);
    }, options);
  }
}

Deno.test("change() that writes confirms nothing: its guards do", async () => {
  const lab = new Lagging();
  assert.equal(typeof await lab.add("/a/x"), "number");
  assert.equal(lab.confirmations, 0);
});

Deno.test("change() finds nothing to do, or refuses, only by a mirror that is confirmed", async () => {
  const lab = new Lagging();
  lab.put("/a/x");
  lab.shown.set("/a/gone", 1);
  assert.equal(
    typeof await lab.add("/a/gone").catch((error) => error.code),
    "number",
    "it is not there any more",
  );
  assert.equal(lab.confirmations, 1);
  await assert.rejects(lab.add("/a/x"), { code: "exists" });
  assert.equal(lab.confirmations, 2);
  const nothing = () => change(lab.store, () => undefined);
  assert.equal(await nothing(), undefined);
  lab.away = true;
  await assert.rejects(nothing(), { code: "unavailable" });
  await assert.rejects(lab.add("/a/x"), { code: "unavailable" });
  assert.equal(await change(lab.store, () => undefined, { unconfirmed: true }), undefined);
});

Deno.test("change() that was confirmed before a conflict confirms the mirror once more before it refuses", async () => {
  const lab = new Lagging();
  lab.shown.set("/a/x", 1);
  lab.memory.beforeCommit = () => {
    lab.memory.beforeCommit = undefined;
    lab.put("/a/x");
  };
  await assert.rejects(lab.add("/a/x"), { code: "exists" });
  assert.equal(lab.confirmations, 2);
});

Deno.test("change() confirms the mirror before it commits what refuses a part of what was asked for", async () => {
  const lab = new Lagging();
  lab.put("/a/x");
  let refused = false;
  await change(lab.store, () => {
    refused = !lab.has("/a/x");
    return lab.plan("/a/y");
  }, { refuses: () => refused });
  assert.equal(refused, false);
  assert.equal(lab.confirmations, 1);
});

Deno.test("definitely() refuses only by a mirror that is confirmed", async () => {
  const lab = new Lagging();
  const read = (key: string) => () => {
    if (!lab.has(key)) throw new Refusal("not-found", `there is no ${key}`);
    return key;
  };
  lab.put("/a/x");
  assert.equal(await confirmedRead(lab.store, read("/a/x")), "/a/x");
  await assert.rejects(confirmedRead(lab.store, read("/a/y")), { code: "not-found" });
  lab.away = true;
  await assert.rejects(confirmedRead(lab.store, read("/a/y")), { code: "unavailable" });
  assert.equal(await confirmedRead(lab.store, read("/a/x")), "/a/x");
});

const unknownOutcome = {
  code: "unavailable",
  message: /its answer was lost: the change may or may not have been made, and /,
};

Deno.test("an answer that was lost: what was not made is made, what was made is found", async () => {
  const lab = new Lagging();
  lab.next = () => {};
  assert.equal(typeof await lab.add("/a/x"), "number");
  lab.next = (plan) => lab.memory.write(plan);
  assert.equal(await lab.add("/a/y"), undefined);
  lab.next = () => lab.put("/a/z/other");
  assert.equal(typeof await lab.add("/a/z"), "number");
});

Deno.test("an answer that was lost: what others have overwritten since is reported as an unknown outcome, not as refused", async () => {
  const lab = new Lagging();
  lab.next = (plan) => {
    lab.memory.write(plan);
    lab.put("/a/x");
  };
  await assert.rejects(lab.add("/a/x"), unknownOutcome);
  lab.next = () => lab.put("/a/y");
  await assert.rejects(lab.add("/a/y"), unknownOutcome);
});

Deno.test("an answer that was lost: what others have deleted since is not made a second time", async () => {
  const lab = new Lagging();
  lab.next = (plan) => {
    lab.memory.write(plan);
    lab.remove("/a/x");
    lab.existed = true;
  };
  await assert.rejects(lab.add("/a/x"), unknownOutcome);
  assert.equal(lab.memory.values.has("/a/x"), false);
});

Deno.test("an answer that was lost: what others have written since is not overwritten by what may be a second time", async () => {
  const lab = new Lagging();
  lab.put("/a/x", "before");
  lab.shown.set("/a/x", lab.memory.revision);
  lab.next = (plan) => {
    lab.memory.write(plan);
    lab.put("/a/x");
  };
  const set = () => lab.memory.values.get("/a/x")?.value === "ours" ? undefined : lab.plan("/a/x");
  await assert.rejects(change(lab.store, set), unknownOutcome);
  assert.equal(lab.memory.values.get("/a/x")?.value, "theirs");
});

Deno.test("an answer that was lost: a refusal is one where the change was certainly not made", async () => {
  const lab = new Lagging();
  lab.next = () => lab.put("/a/owner");
  const plan: () => Plan = () => {
    if (lab.has("/a/owner")) throw new Refusal("exists", "it has an owner");
    return lab.plan("/a/x");
  };
  await assert.rejects(change(lab.store, plan), { code: "exists" });
});

Deno.test("an answer that was lost in the middle: the rest is made when that part stands", async () => {
  const lab = new Lagging();
  const keys = ["/a/1", "/a/2", "/a/3"];
  let commits = 0;
  const { commit } = lab.store.committer;
  lab.store.committer.commit = (plan) => {
    if (++commits === 2) lab.next = (lost) => lab.memory.write(lost);
    return commit(plan);
  };
  await change(lab.store, () => keys.filter((key) => !lab.has(key)).map((key) => lab.plan(key)));
  assert.deepEqual([...lab.memory.values.keys()], keys);
  assert.equal(commits, 3);
});
