import assert from "node:assert/strict";
import { anySeed, forAll } from "../../tests/lab/property.ts";
import type { Comparison } from "./comparison.ts";
import type { FollowedPart } from "./followed_parts.ts";
import type { WatchEvent } from "./messages.ts";
import { MirrorData } from "./mirror_data.ts";
import { Listing } from "./table.ts";

const seed = anySeed();
const KEYS = 3, PREFIX = "/a/";

/** The mod revisions of the keys that there are. */
type Shown = ReadonlyMap<string, number>;

/** etcd's history of some keys, and a mirror that takes the events of it later, or never. */
class Lab {
  readonly data = new MirrorData<string>(
    { prefixes: [PREFIX], parse: (_, value) => value },
    () => assert.fail(),
  );
  readonly #history: WatchEvent[] = [];
  /** What etcd held at each revision. */
  readonly #held: Shown[] = [new Map()];
  /** What the mirror showed before it took the event of each revision. */
  readonly #before: Shown[] = [];
  readonly #requests: { comparison: Comparison; after: number; read?: number; answered?: number }[] = [];

  constructor() {
    const listing = new Listing(this.data.table);
    this.data.replace({ listing, clusterId: 1n, revision: 0 });
  }

  get #part(): FollowedPart {
    return this.data.parts.get(PREFIX) ?? assert.fail();
  }

  get #head(): number {
    return this.#history.length;
  }

  get #shown(): Shown {
    return new Map([...this.data.table.keys()].map((key) => [key, this.data.table.version(key)]));
  }

  write(key: string, removed: boolean): void {
    const held = new Map(this.#held[this.#head]), modRevision = this.#head + 1;
    if (removed && !held.delete(key)) return;
    if (!removed) held.set(key, modRevision);
    this.#held.push(held);
    this.#history.push({ removed, kv: { key, value: new Uint8Array(), createRevision: 1, modRevision } });
  }

  /** The watch reports the next event, or loses it. */
  report(lost: boolean): void {
    const event = this.#history[this.#before.length];
    if (!event) return;
    this.#before.push(this.#shown);
    if (!lost) this.data.take(this.#part, [event]);
  }

  request(): void {
    this.#requests.push({ comparison: this.data.comparisons.begin([this.#part]), after: this.#part.equal });
  }

  /** etcd reads what the oldest question is about. */
  read(): void {
    const request = this.#requests.find(({ read }) => read === undefined);
    if (request) request.read = this.#head;
  }

  /** Its answer to the oldest question arrives. */
  answer(): void {
    const request = this.#requests.find(({ answered }) => answered === undefined), revision = request?.read;
    if (!request || revision === undefined) return;
    const held = this.#held[revision] ?? assert.fail();
    const kvs = [...held].filter(([, modRevision]) => modRevision > request.after)
      .map(([key, modRevision]) => ({ key, value: new Uint8Array(), createRevision: 1, modRevision }));
    request.answered = revision;
    const header = { clusterId: 1n, revision };
    request.comparison.answered(revision, [{ header, kvs, more: false, count: held.size }]);
    this.data.comparisons.check();
  }

  /** True when what the mirror shows, as of a revision, is what etcd held then. */
  #isEqual(revision: number): boolean {
    const shown = this.#before[revision] ?? this.#shown, held = this.#held[revision] ?? assert.fail();
    return shown.size === held.size && [...held].every(([key, version]) => shown.get(key) === version);
  }

  /** A part counts as equal where it is, and a comparison is over as soon as its part is equal as of its revision or a later one. */
  check(): void {
    const { equal } = this.#part;
    assert(this.#isEqual(equal), `not equal as of revision ${equal}`);
    for (const [i, { comparison, answered }] of this.#requests.entries()) {
      if (answered === undefined) continue;
      const is = equal >= answered || this.#isEqual(answered);
      assert.equal(comparison.check(), is, `comparison ${i} as of revision ${answered}`);
    }
  }
}

Deno.test(`a comparison is over when the mirror has shown what etcd held, whichever was ahead and whatever was lost (seed ${seed})`, () => {
  forAll({ runs: 4_000, choices: 80, seed }, (random, isOver) => {
    const lab = new Lab();
    while (!isOver()) {
      const step = random(11);
      if (step < 4) lab.write(`${PREFIX}${random(KEYS)}`, random(2) === 1);
      else if (step < 8) lab.report(random(8) === 7);
      else if (step < 9) lab.request();
      else if (step < 10) lab.read();
      else lab.answer();
      lab.check();
    }
  });
});

Deno.test("a comparison ends without a result when everything is listed again, or nothing waits for it any more", async () => {
  const { data } = new Lab();
  const parts = data.parts.all();
  const relisted = data.comparisons.begin(parts), given = data.comparisons.begin(parts);
  data.comparisons.end(given);
  assert.equal(await given.isEqual, false);
  const listing = new Listing(data.table);
  data.replace({ listing, clusterId: 1n, revision: 7 });
  assert.equal(await relisted.isEqual, false);
  assert.equal(data.comparisons.some, false);
});

Deno.test("a comparison leaves out a part that is no longer followed", async () => {
  const { data } = new Lab();
  const part = { prefix: "/b/", seen: 0, equal: 0, size: 0, keys: new Set<string>() };
  data.addPart(part, 5);
  const comparison = data.comparisons.begin([part]);
  comparison.answered(6, [{ header: { clusterId: 1n, revision: 6 }, kvs: [], more: false, count: 3 }]);
  assert.equal(comparison.check(), false);
  data.notify(data.removePart(part));
  assert.equal(await comparison.isEqual, true);
});
