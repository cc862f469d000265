import assert from "node:assert/strict";
import type { ByteStream } from "../../common/http/byte_stream.ts";
import { join } from "./join.ts";

/** One end in memory: what is said to it comes out of `heard`, what it says is fed by `say`. */
class FakeEnd implements ByteStream {
  readonly heard: string[] = [];
  finished = false;
  closed = false;
  aborted = false;
  readonly #says: (string | undefined | Error)[] = [];
  #wake = () => {};

  /** Undefined: it has said all. */
  say(...texts: (string | undefined | Error)[]): this {
    this.#says.push(...texts);
    this.#wake();
    return this;
  }

  async read(): Promise<Uint8Array | undefined> {
    while (!this.#says.length) {
      if (this.closed) throw new Error("closed");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const next = this.#says.shift();
    if (next instanceof Error) throw next;
    return next === undefined ? undefined : new TextEncoder().encode(next);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.heard.push(new TextDecoder().decode(bytes));
    return Promise.resolve();
  }

  finish(): Promise<void> {
    this.finished = true;
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }

  abort(): void {
    this.aborted = true;
    this.close();
  }
}

function counted() {
  const counts = { in: 0, out: 0 };
  return {
    counts,
    options: { aToB: (n: number) => void (counts.in += n), bToA: (n: number) => void (counts.out += n) },
  };
}

Deno.test("join() passes bytes both ways, and one direction goes on when the other has ended", async () => {
  const a = new FakeEnd().say("question", undefined), b = new FakeEnd();
  const { counts, options } = counted();
  const joined = join(a, b, options);
  while (!b.finished) await Promise.resolve();
  assert.equal(b.closed, false);
  b.say("an", "swer", undefined);
  assert.equal(await joined, undefined);
  assert.deepEqual([a.heard, b.heard], [["an", "swer"], ["question"]]);
  assert.deepEqual([a.finished, a.closed, b.closed, a.aborted, b.aborted], [true, true, true, false, false]);
  assert.deepEqual(counts, { in: 8, out: 6 });
});

Deno.test("join() aborts both ends when one fails, after what came before, and says which it was", async () => {
  const reset = new Error("reset");
  const a = new FakeEnd(), b = new FakeEnd().say("x", reset);
  assert.deepEqual(await join(a, b, counted().options), { end: b, error: reset });
  assert.deepEqual([a.aborted, b.aborted, a.finished, b.finished], [true, true, false, false]);
  assert.deepEqual(a.heard, ["x"]);
});

Deno.test("join() says which end could not be written to", async () => {
  const lost = new Error("lost");
  const a = new FakeEnd().say("x"), b = new FakeEnd();
  b.write = () => Promise.reject(lost);
  assert.deepEqual(await join(a, b), { end: b, error: lost });
});
