import assert from "node:assert/strict";
import { withProgress } from "./progress.ts";

function screen(isTerminal: boolean) {
  const written: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const write = (text: string) => {
    written.push(text);
    resolve();
  };
  return { isTerminal, write, written, first: promise };
}

Deno.test("withProgress() shows a terminal what takes longer than a second, and clears it", async () => {
  const terminal = screen(true);
  const work = terminal.first.then(() => 42);
  assert.equal(await withProgress("applying", terminal, work), 42);
  const [shown, ...rest] = terminal.written;
  // A busy machine may write it later than after a second.
  // deno-lint-ignore no-control-regex
  assert.match(shown ?? "", /^\r\x1b\[Kapplying… [1-9]\d* s$/);
  assert.deepEqual(rest, ["\r\x1b[K"]);
});

Deno.test("withProgress() is silent for what is quick, and where there is no terminal", async () => {
  const terminal = screen(true), file = screen(false);
  assert.equal(await withProgress("applying", terminal, Promise.resolve(1)), 1);
  assert.equal(await withProgress("applying", file, Promise.resolve(2)), 2);
  await assert.rejects(withProgress("applying", terminal, Promise.reject(new Error("no"))), /no/);
  assert.deepEqual([...terminal.written, ...file.written], []);
});
