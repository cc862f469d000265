import assert from "node:assert/strict";
import type { HostAnswer } from "../agents.ts";
import { agentTroubles, matrixOf } from "./reach.ts";

const says = (reaches: Record<string, boolean>, ...whats: string[]): HostAnswer => ({
  reaches: new Map(Object.entries(reaches)),
  mended: 0,
  problems: whats.map((what) => ({ what, fix: "mend it", blocks: false })),
});

Deno.test("a matrix has a row and a column for each host that probes or is probed", () => {
  const said = new Map([["h2", says({ h1: true, h3: false })], ["h1", says({ h2: true })], ["h4", says({})]]);
  assert.deepEqual(matrixOf(said), {
    hosts: ["h1", "h2", "h3"],
    reached: [[undefined, true, undefined], [true, undefined, false], [undefined, undefined, undefined]],
  });
  assert.equal(matrixOf(new Map()), undefined);
  const many = Object.fromEntries(Array.from({ length: 41 }, (_, i) => [`h${i}`, true]));
  assert.equal(matrixOf(new Map([["h0", says(many)]])), undefined);
});

Deno.test("what several hosts say alike is said once, whatever time it has taken, and about one host at a time", () => {
  const said = new Map([
    ["a", says({}, "h9 does not answer, since 12 s", "etcd does not answer")],
    ["b", says({}, "h9 does not answer, since 3 s", "etcd does not answer")],
    ["c", says({}, "h8 does not answer, since 3 s", "etcd does not answer")],
  ]);
  assert.deepEqual(
    agentTroubles(said, ["etcd does not answer"]).map(({ where, what }) => `${where}: ${what}`),
    [
      "2 hosts: a, b: h9 does not answer, since 12 s",
      "host c: h8 does not answer, since 3 s",
    ],
  );
});
